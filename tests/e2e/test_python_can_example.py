"""examples/python-can with a real ``docker compose``: two ECUs that know each other's messages."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.compose import Project
from lab.testbed import Testbed
from tests.e2e.command import Command
from tests.e2e.python_can import DATABASE, python_can_project
from tests.support.notebook import NOTEBOOK, notebook_folder, run_notebook
from tools.common.polling import wait_until

PATIENCE = 150
"""Seconds; an emulated machine needs several to start Python with these libraries."""


@pytest.fixture(scope="module")
def project(testbed: Testbed) -> Iterator[Project]:
    with python_can_project(testbed) as running:
        yield running


def wait_health(project: Project, service: str, state: str) -> None:
    def reached() -> bool:
        return bool(project.container(service).attrs["State"]["Health"]["Status"] == state)

    wait_until(reached, PATIENCE, f"{service} to be {state}")


def shown(project: Project) -> list[str]:
    """Return the lines of the dashboard."""
    return project.container("dashboard").logs().decode().splitlines()


def test_both_ecus_are_healthy_and_the_engine_follows_the_demand(project: Project) -> None:
    for service in ("engine", "dashboard"):
        wait_health(project, service, "healthy")

    def accelerated() -> bool:
        return any(
            re.search(r"EngineSpeed [2-6]\d{3}\.\d rpm.*Gear First", x) for x in shown(project)
        )

    wait_until(accelerated, PATIENCE, "the engine to follow the demand")
    assert re.search(
        r"^EngineSpeed [\d.]+ rpm, VehicleSpeed [\d.]+ km/h, Gear \w+, "
        r"EngineTorqueMeasuredAtTheCrankshaft -?[\d.]+ Nm, OilPressure [\d.]+ bar$",
        "\n".join(shown(project)),
        re.MULTILINE,
    )
    for service in ("engine", "dashboard"):
        container = project.container(service)
        assert container.attrs["RestartCount"] == 0
        assert "Traceback" not in container.logs().decode()


def test_dump_decodes_all_messages_by_the_same_database(project: Project, command: Command) -> None:
    wait_health(project, "engine", "healthy")
    [network] = project.networks()
    status, output = command.run(
        *("dump", str(network.name), "--dbc", DATABASE, "--json", "--duration", "3")
    )
    assert status == 0, output
    frames = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    senders = {frame["message"]: frame["sender"] for frame in frames}
    assert {message: sender.split("-")[-2] for message, sender in senders.items()} == {
        "EngineStatus": "engine",
        "EngineTorque": "engine",
        "EngineDiagnosis": "engine",
        "DriverDemand": "dashboard",
    }
    assert not [frame for frame in frames if "decode_error" in frame]
    # Each page of the multiplexed message has its own signals.
    pages = {
        frame["signals"]["Page"]["value"]: sorted(frame["signals"])
        for frame in frames
        if frame["message"] == "EngineDiagnosis"
    }
    assert pages == {
        0: ["BatteryVoltage", "Page"],
        1: ["OilPressure", "OilTemperature", "Page"],
        2: ["OperatingTime", "Page"],
    }
    torque = [frame for frame in frames if frame["message"] == "EngineTorque"]
    assert all(frame["extended"] and frame["id"] == 0x18FF1017 for frame in torque)
    assert all(
        isinstance(frame["signals"]["FuelConsumptionAveragedOverOneSecond"]["value"], float)
        for frame in torque
    )


def test_the_notebook_records_decodes_and_plots_the_bus(
    project: Project, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_health(project, "engine", "healthy")
    folder = notebook_folder(tmp_path, monkeypatch)
    program = tmp_path / "bin/evercan"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command.line())} "$@"\n')
    program.chmod(0o755)
    for name, value in command.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    found = run_notebook(NOTEBOOK, SECONDS=8)
    found["plt"].close("all")

    assert "frames, none lost" in found["recorded"].stderr
    assert found["unknown"] == 0
    counts = found["summary"]["count"].to_dict()
    assert set(counts) == {
        (message.name, signal.name)
        for message in found["database"].messages
        for signal in message.signals
    }
    # A busy machine that emulates the lab loses some of the periods, and none comes early.
    for name in ("EngineStatus", "EngineTorque", "DriverDemand"):
        period = found["database"].get_message_by_name(name).cycle_time
        assert 0.9 * period < found["gaps"][name].mean() < 5 * period, name
    assert (folder / "drive.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_an_ecu_that_hears_nobody_is_unhealthy_until_the_other_is_back(project: Project) -> None:
    wait_health(project, "dashboard", "healthy")
    engine = project.container("engine")
    engine.stop(timeout=60)
    assert engine.wait()["StatusCode"] == 0
    wait_health(project, "dashboard", "unhealthy")
    assert "nothing is heard from the engine" in shown(project)[-3:]
    engine.start()
    for service in ("engine", "dashboard"):
        wait_health(project, service, "healthy")
