"""Record a full bus, play it back, and decode it, from another machine."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

from evercan.cli.access.helper import CAPTURE
from evercan.cli.access.recordings import read_recording
from evercan.cli.views.recording import RecordedFrame
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.unit.cli.test_decoding import CAR

_GENERATED, _SENT = 4000, 200
_PERIOD = 0.000125
"""Seconds from frame to frame: a classic bus of 1 Mbit/s has about 8,000 frames a second."""

_PATIENCE = 150
"""Seconds; a busy machine that emulates the lab needs more than a minute for a container."""


def listening(testbed: Testbed) -> bool:
    """Whether the command reads frames on the engine's host."""
    found = testbed.host("pgrep", "-x", "-f", f"{CAPTURE}( errors)?", check=False)
    return found.returncode == 0


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit status and what it reported.

    One that waits for frames that were lost is interrupted, and reports them.
    """
    try:
        output, errors = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=_PATIENCE)
    assert "Traceback" not in errors
    return process.returncode, output + errors


def in_order(output: str) -> list[dict[str, Any]]:
    """Read what dump prints, by time: a busy lab can stand still for longer than dump waits."""
    return sorted((json.loads(line) for line in output.splitlines()), key=itemgetter("time"))


def differing(recorded: Sequence[RecordedFrame], lines: Sequence[Mapping[str, Any]]) -> float:
    """Return by how many milliseconds 99 % of the times differ at most from those recorded."""
    errors = sorted(
        abs((line["time"] - lines[0]["time"]) * 1_000 - (frame.stamp - recorded[0].stamp) / 1_000)
        for frame, line in zip(recorded, lines, strict=True)
    )
    return float(errors[len(errors) * 99 // 100])


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
    generated = [frame for frame in first if frame.sender == trio.interface]
    assert len(generated) == _GENERATED
    seconds = (generated[-1].stamp - generated[0].stamp) / 1_000_000
    print(f"recorded at {_GENERATED / seconds:.0f} frames/s")

    # All of it comes from the bus interface now, in the same order.
    with command.start(*("dump", trio.name, "--dbc", CAR, "--json", "-n", str(frames))) as dump:
        trio.wait(lambda: listening(testbed), "the dump", _PATIENCE)
        # Its output fills a pipe, which is read meanwhile.
        reading = ThreadPoolExecutor(1).submit(ended, dump)
        status, report = command.run("play", recorded, trio.name)
        assert (status, report.startswith(f"{frames:,} frames sent")) == (0, True), report
        status, output = reading.result()
    assert status == 0, output
    lines = in_order(output)
    assert [(line["id"], line["data"]) for line in lines] == [
        (frame.frame.can_id, frame.frame.data.hex().upper()) for frame in first
    ]
    print(
        f"99 % of the times differ from the recording's by {differing(first, lines):.3f} ms at most"
    )
    assert {line["sender"] for line in lines} == {trio.interface}
    engine = [line for line in lines if line.get("message") == "EngineData"]
    assert len(engine) == _SENT
    for line in engine:
        raw = int.from_bytes(bytes.fromhex(line["data"])[:2], "little")
        assert line["signals"]["EngineSpeed"] == {"value": raw * 0.25, "unit": "rpm"}


def test_a_full_bus_of_one_id_is_recorded(
    command: Command, testbed: Testbed, trio: Bus, tmp_path: Path
) -> None:
    """All frames wait in the buffer of one socket."""
    recorded = str(tmp_path / "one.log")
    arguments = ("--period", str(_PERIOD), "-n", str(_GENERATED))
    with command.start("record", trio.name, "-o", recorded, "-n", str(_GENERATED)) as record:
        trio.wait(lambda: listening(testbed), "the recording", _PATIENCE)
        status, report = command.run("generate", trio.name, "123#00", *arguments)
        assert (status, report.startswith(f"{_GENERATED:,} frames sent")) == (0, True), report
        status, report = ended(record)
    assert (status, f"{_GENERATED:,} frames, none lost" in report) == (0, True), report
    stamps = [frame.stamp for frame in read_recording(recorded)]
    print(f"recorded at {_GENERATED * 1_000_000 / (stamps[-1] - stamps[0]):.0f} frames/s")


def test_each_recorded_sender_sends_from_its_container(
    command: Command, testbed: Testbed, trio: Bus, tmp_path: Path
) -> None:
    senders = ("dashboard", "gateway", trio.interface)
    file = tmp_path / "drive.log"
    file.write_text(
        "".join(
            f"({1_790_000_000 + step / 100:.6f}) {senders[step % 3]} {step:03X}#00\n"
            for step in range(120)
        )
    )
    with command.start("dump", trio.name, "--json", "-n", "120") as dump:
        trio.wait(lambda: listening(testbed), "the dump", _PATIENCE)
        status, report = command.run("play", str(file), trio.name, "--containers")
        assert (status, report.startswith("120 frames sent")) == (0, True), report
        status, output = ended(dump)
    assert status == 0, output
    lines = in_order(output)
    names = ("play-dashboard", "play-gateway", trio.interface)
    expected = {step: names[step % 3] for step in range(120)}
    assert {line["id"]: line["sender"] for line in lines} == expected
    print(report, f"{differing(list(read_recording(str(file))), lines):.3f} ms")
    left = testbed.client().containers.list(all=True, filters={"name": "play-"})
    assert left == []


def test_top_counts_ids_load_and_error_frames(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    container = trio.containers[0]
    container.reload()
    # One call for all frames: each takes seconds in a busy lab.
    sending = (
        f"nsenter --net --target {container.attrs['State']['Pid']} "
        "cangen can0 -g 20 -n 100 -I 123 -L 8 -D i; "
        f"cansend {trio.interface} 20000040#0000000000000000; cansend {trio.interface} 7FF#00"
    )
    arguments = ("top", trio.name, "--json", "-t", "12", "--bitrate", "500000")
    with command.start(*arguments) as top:
        trio.wait(lambda: listening(testbed), "top", _PATIENCE)
        testbed.host("sh", "-c", sending)
        status, output = ended(top)
    assert status == 0, output
    document = json.loads(output)
    ids = {(line["sender"], line["id"]): line for line in document["ids"]}
    assert set(ids) == {(str(container.name), 0x123), (trio.interface, 0x7FF)}
    line = ids[str(container.name), 0x123]
    assert line["count"] == 100
    assert line["period"] > 0.019  # cangen does not send earlier than it is told to
    assert (document["error_frames"], document["last_error"]["text"]) == (1, "bus-off")
    # 8 bytes have 111 bits without and 135 with every stuff bit; 7FF#00 has at most 70.
    bits = document["load"] * 500_000 * document["seconds"]
    assert 100 * 111 <= bits + 50 <= 100 * 135 + 120
