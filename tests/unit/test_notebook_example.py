"""examples/notebook decodes and plots what was recorded."""

from __future__ import annotations

import math
from pathlib import Path

import cantools.database
import pytest
from cantools.database.can import Database

from evercan.cli.access.recordings import open_writer
from evercan.cli.views.frame import Frame
from evercan.cli.views.recording import RecordedFrame
from tests.support.notebook import NOTEBOOK, code_cells, notebook_folder, run_notebook
from tools.common.checkout import ROOT

DATABASE = ROOT / "examples/python-can/powertrain.dbc"
START = 1_790_000_000_000_000
SECONDS = 20


def speed(second: float) -> float:
    """Return the recorded engine speed at a time."""
    return round(800 + 4000 * math.sin(math.pi * second / SECONDS)) * 1.0


def record(file: Path) -> None:
    """Write a drive as ``evercan record`` does: 20 s, two senders, and a frame of no database."""
    database = cantools.database.load_file(DATABASE)
    assert isinstance(database, Database)
    writer = open_writer(file)
    for step in range(SECONDS * 10):
        second = step / 10
        sent: dict[str, dict[str, float | str]] = {
            "DriverDemand": {"Pedal": 50, "GearRequest": "Second"},
            "EngineStatus": {
                "EngineSpeed": speed(second),
                "CoolantTemperature": 90,
                "Gear": "First" if second < SECONDS / 2 else "Second",
                "VehicleSpeed": 30,
            },
            "EngineTorque": {
                "EngineTorqueMeasuredAtTheCrankshaft": -1.5 * step,
                "FuelConsumptionAveragedOverOneSecond": 1,
            },
            "EngineDiagnosis": {"Page": 1, "OilPressure": 3, "OilTemperature": 90}
            if step % 2
            else {"Page": 2, "OperatingTime": step},
        }
        for number, (name, values) in enumerate(sent.items()):
            message = database.get_message_by_name(name)
            data = message.encode(values)
            frame = Frame(
                message.frame_id, data, extended=message.is_extended_frame, length=len(data)
            )
            stamp = START + step * 100_000 + number * 1000
            channel = 2 if name == "DriverDemand" else 1
            writer.write(RecordedFrame(stamp, "ecu", frame), channel)
    writer.write(RecordedFrame(START + SECONDS * 1_000_000, "ecu", Frame(0x7FF, b"", length=0)), 1)
    writer.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is where the notebook is in a checkout."""
    return notebook_folder(tmp_path, monkeypatch)


@pytest.mark.parametrize("recording", ["drive.blf", "drive.asc", "drive.mf4"])
def test_the_notebook_decodes_and_plots_a_recording(
    folder: Path, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record(folder / recording)
    found = run_notebook(NOTEBOOK, RECORDING=Path(recording))
    assert capsys.readouterr().out == "1 frames are not in powertrain.dbc\n"

    # What is decoded is what was recorded, long names and pages too.
    counts = found["summary"]["count"].to_dict()
    steps = SECONDS * 10
    assert counts["EngineTorque", "FuelConsumptionAveragedOverOneSecond"] == steps
    assert counts["EngineDiagnosis", "OilPressure"] == steps / 2
    assert counts["EngineDiagnosis", "OperatingTime"] == steps / 2
    assert ("EngineDiagnosis", "BatteryVoltage") not in counts
    assert found["summary"]["min"]["EngineTorque", "EngineTorqueMeasuredAtTheCrankshaft"] == (
        -1.5 * (steps - 1)
    )

    # What is plotted is what is decoded.
    axes = dict(zip(found["PLOTTED"], found["axes"], strict=True))
    [line] = axes["EngineSpeed"].lines
    for second, value in zip(line.get_xdata(), line.get_ydata(), strict=True):
        assert value == speed(round(second, 1))
    assert axes["EngineSpeed"].get_ylabel() == "rpm"
    assert [text.get_text() for text in axes["Gear"].get_yticklabels()] == ["First", "Second"]
    assert found["gaps"]["EngineStatus"].median() == pytest.approx(100, abs=0.01)
    found["plt"].close("all")
    for picture in ("drive.png", "timing.png"):
        assert (folder / picture).stat().st_size > 10_000


def test_the_notebook_has_no_results_of_a_run() -> None:
    for cell in code_cells(NOTEBOOK):
        assert cell.outputs == []
        assert cell.execution_count is None
