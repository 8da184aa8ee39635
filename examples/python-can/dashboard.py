"""The dashboard's ECU: it sends the driver's demand, and shows what the engine sends."""

from __future__ import annotations

import time

from ecu import DATABASE, Ecu

DRIVE = (
    (3, 0, "Neutral"),
    (4, 35, "First"),
    (4, 45, "Second"),
    (5, 60, "Third"),
    (5, 80, "Fourth"),
    (4, 20, "Fourth"),
    (3, 5, "Second"),
)
"""The drive, again and again: seconds, pedal in %, gear."""
SHOWN = (
    "EngineSpeed",
    "VehicleSpeed",
    "Gear",
    "EngineTorqueMeasuredAtTheCrankshaft",
    "OilPressure",
)
UNITS = {
    signal.name: signal.unit or "" for message in DATABASE.messages for signal in message.signals
}


def demand(seconds: float) -> tuple[float, str]:
    """Return pedal and gear at a time since the start."""
    seconds %= sum(duration for duration, _, _ in DRIVE)
    for duration, pedal, gear in DRIVE:
        seconds -= duration
        if seconds < 0:
            return pedal, gear
    return DRIVE[-1][1:]


def line(values: dict[str, float | str]) -> str:
    """Return what is shown of the last values."""
    parts = []
    for name in SHOWN:
        if name in values:
            value = values[name]
            text = value if isinstance(value, str) else f"{value:.1f}"
            parts.append(f"{name} {text} {UNITS[name]}".rstrip())
    return ", ".join(parts) or "nothing is heard from the engine"


def main() -> None:
    ecu = Ecu("Dashboard")
    started = shown = time.monotonic()
    last: dict[str, float | str] = {}
    while True:
        pedal, gear = demand(time.monotonic() - started)
        ecu.send_cyclically("DriverDemand", Pedal=pedal, GearRequest=gear)
        for _, values in ecu.received(0.1):
            last |= values
        if time.monotonic() - shown >= 1:
            shown = time.monotonic()
            print(line(last), flush=True)
            last.clear()


if __name__ == "__main__":
    main()
