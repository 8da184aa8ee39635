"""Record a full bus, play it back, and decode it, from another machine."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evercan.cli.access.recordings import read_recording
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.unit.cli.test_decoding import CAR

_GENERATED, _SENT = 4000, 200
_PERIOD = 0.000125
"""Seconds from frame to frame: a classic bus of 1 Mbit/s has about 8,000 frames a second."""

_PATIENCE = 150
"""Seconds; a busy machine that emulates the lab needs more than a minute for a container."""
_LISTENING = "any,F:F"
"""The last argument of the candump that the command runs on the engine's host."""


def listening(testbed: Testbed) -> bool:
    """Whether the command reads frames on the engine's host."""
    found = testbed.host("pgrep", "-x", "-f", f"candump .*{_LISTENING}", check=False)
    return found.returncode == 0


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit status and what it reported."""
    output, errors = process.communicate(timeout=_PATIENCE)
    assert "Traceback" not in errors
    return process.returncode, output + errors


def test_a_full_bus_is_recorded_played_and_decoded(
    command: Command, testbed: Testbed, trio: Bus, tmp_path: Path
) -> None:
    frames = _GENERATED + _SENT
    container = trio.containers[0]
    container.reload()
    recorded = str(tmp_path / "drive.blf")

    # The bus interface and a container send at the same time.
    with command.start("record", trio.name, "-o", recorded, "-n", str(frames)) as record:
        trio.wait(lambda: listening(testbed), "the recording", _PATIENCE)
        with command.start(
            *("generate", trio.name, "--fuzz", "--seed", "7", "--ids", "200-7FF"),
            *("--period", str(_PERIOD), "-n", str(_GENERATED)),
        ) as generate:
            inside = ("nsenter", "--net", "--target", str(container.attrs["State"]["Pid"]))
            sent = ("cangen", "can0", "-g", "2", "-n", str(_SENT), "-I", "123", "-L", "8")
            testbed.host(*inside, *sent, "-D", "i")
            status, report = ended(generate)
        assert (status, report.startswith(f"{_GENERATED:,} frames sent")) == (0, True), report
        status, report = ended(record)
    assert (status, f"{frames:,} frames, none lost" in report) == (0, True), report
    first = list(read_recording(recorded))
    assert [frame.sender for frame in first].count(str(container.name)) == _SENT
    assert [frame.sender for frame in first].count(trio.interface) == _GENERATED

    # All of it comes from the bus interface now, in the same order.
    with command.start(*("dump", trio.name, "--dbc", CAR, "--json", "-n", str(frames))) as dump:
        trio.wait(lambda: listening(testbed), "the dump", _PATIENCE)
        # Its output fills a pipe, which is read meanwhile.
        reading = ThreadPoolExecutor(1).submit(ended, dump)
        status, report = command.run("play", recorded, trio.name)
        assert (status, report.startswith(f"{frames:,} frames sent")) == (0, True), report
        status, output = reading.result()
    assert status == 0, output
    lines = [json.loads(line) for line in output.splitlines()]
    assert [(line["id"], line["data"]) for line in lines] == [
        (frame.frame.can_id, frame.frame.data.hex().upper()) for frame in first
    ]
    assert {line["sender"] for line in lines} == {trio.interface}
    engine = [line for line in lines if line.get("message") == "EngineData"]
    assert len(engine) == _SENT
    for line in engine:
        raw = int.from_bytes(bytes.fromhex(line["data"])[:2], "little")
        assert line["signals"]["EngineSpeed"] == {"value": raw * 0.25, "unit": "rpm"}
