"""The engine's ECU: it follows the driver's demand, and sends what it measures."""

from __future__ import annotations

import itertools
import time

from ecu import Ecu, period

IDLE, LIMIT = 800, 6500
RATIOS = {"First": 8, "Second": 14, "Third": 21, "Fourth": 29, "Fifth": 37}
"""The vehicle's speed in km/h for each 1,000 rpm, by gear."""
STEP = 0.05
"""Seconds from one calculation to the next."""
PATIENCE = 1
"""Seconds without a demand after which the engine idles."""


def main() -> None:
    ecu = Ecu("Engine")
    speed, pedal, gear = float(IDLE), 0.0, "Neutral"
    asked = started = diagnosed = time.monotonic()
    pages = itertools.cycle(range(3))
    while True:
        for name, values in ecu.received(STEP):
            if name == "DriverDemand":
                pedal, gear = float(values["Pedal"]), str(values["GearRequest"])
                asked = time.monotonic()
        now = time.monotonic()
        if now - asked > PATIENCE:
            pedal, gear = 0.0, "Neutral"
        wanted = IDLE + (LIMIT - IDLE) * pedal / 100
        speed += (wanted - speed) * STEP
        torque = (wanted - speed) * 0.08
        ecu.send_cyclically(
            "EngineStatus",
            EngineSpeed=speed,
            CoolantTemperature=min(90, 20 + (now - started)),
            Gear=gear,
            VehicleSpeed=RATIOS.get(gear, 0) * speed / 1000,
        )
        ecu.send_cyclically(
            "EngineTorque",
            EngineTorqueMeasuredAtTheCrankshaft=torque,
            FuelConsumptionAveragedOverOneSecond=0.6 + max(0.0, torque) * speed / 40_000,
        )
        if now - diagnosed >= period("EngineDiagnosis"):
            diagnosed = now
            page = next(pages)
            # Only the signals of this page are sent.
            measured = [
                {"BatteryVoltage": 13.8 + speed / 20_000},
                {"OilPressure": 1 + speed / 2_000, "OilTemperature": 85},
                {"OperatingTime": int(now - started)},
            ][page]
            ecu.send("EngineDiagnosis", Page=page, **measured)


if __name__ == "__main__":
    main()
