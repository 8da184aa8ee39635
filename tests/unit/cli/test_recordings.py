"""Test that recordings hold what was on the bus, in every format, and are played as they were."""

from __future__ import annotations

import builtins
import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import can
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evercan.cli.access.program import Program
from evercan.cli.access.recordings import open_writer, read_recording
from evercan.cli.commands.capture import Capture
from evercan.cli.commands.play import PlayOptions, schedule
from evercan.cli.commands.record import Recorder
from evercan.cli.errors import INTERRUPTED, CliError
from evercan.cli.views.frame import Frame
from evercan.cli.views.recording import FORMATS, RecordedFrame
from evercan.cli.views.traffic import BusFrame
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import engine_answers, network_entry, plugin_entry
from tests.support.overviews import network_document, status_document
from tests.unit.cli.conftest import FakeBus, frames_of
from tests.unit.cli.test_sending import frames

START = 1_790_000_000_000_000
SENDERS = ("vcan0", "dashboard", "project-gateway-1")
LEFT_OUT = (
    "2 frames are left out: PEAK trace files have no CAN FD and remote frames; use .mf4, .blf, "
    ".asc or .log"
)
EVERY = pytest.mark.parametrize("ending", FORMATS)


@st.composite
def drives(draw: st.DrawFn) -> list[RecordedFrame]:
    """Draw frames in order, with different times."""
    gaps = draw(st.lists(st.integers(1, 5_000_000), max_size=30))
    stamps = itertools.accumulate(gaps, initial=START + draw(st.integers(0, 999_999)))
    return [
        RecordedFrame(stamp, draw(st.sampled_from(SENDERS)), draw(frames())) for stamp in stamps
    ]


def write(file: Path, drive: list[RecordedFrame]) -> None:
    writer = open_writer(file)
    noted = set()
    for recorded in drive:
        channel = SENDERS.index(recorded.sender) + 1
        writer.write(recorded, channel)
        if channel not in noted:
            noted.add(channel)
            writer.note(channel, recorded.sender)
    writer.close()


class Reader:
    """A reader of python-can alone."""

    def __init__(self, file: Path) -> None:
        self._reader: Any = can.LogReader(file)

    def __iter__(self) -> Iterator[can.Message]:
        return iter(self._reader)

    def close(self) -> None:
        self._reader.stop()


@EVERY
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drives())
def test_what_is_written_is_read(tmp_path: Path, ending: str, drive: list[RecordedFrame]) -> None:
    drive = [recorded for recorded in drive if FORMATS[ending].holds(recorded.frame)]
    file = tmp_path / f"drive{ending}"
    write(file, drive)
    found = list(read_recording(str(file)))
    assert [recorded.frame for recorded in found] == [recorded.frame for recorded in drive]
    senders = [recorded.sender if FORMATS[ending].senders else "" for recorded in drive]
    assert [recorded.sender for recorded in found] == senders
    for one, other in itertools.pairwise(zip(found, drive, strict=True)):
        gap = other[0].stamp - one[0].stamp
        assert abs(gap - (other[1].stamp - one[1].stamp)) <= 2  # microseconds, by rounding
    with closing(Reader(file)) as reader:
        assert len(list(reader)) == len(drive)  # so do other programs


def test_recordings_of_python_can_are_read(tmp_path: Path) -> None:
    messages = [
        can.Message(timestamp=1.5, arbitration_id=0x123, is_extended_id=False, data=b"\1\2"),
        can.Message(timestamp=2.5, arbitration_id=0x1ABCDEF, data=b"\3", channel=1),
        can.Message(timestamp=3.5, is_error_frame=True),
    ]
    for ending in (".asc", ".blf", ".mf4", ".log"):
        file = tmp_path / f"x{ending}"
        with can.Logger(file) as log:
            for message in messages:
                log(message)
        found = list(read_recording(str(file)))
        assert [recorded.frame.text for recorded in found] == ["123#0102", "01ABCDEF#03"], ending
        assert found[1].stamp - found[0].stamp == 1_000_000


def test_channels_without_a_name_have_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "x.blf"
    with can.Logger(file) as log:
        log(can.Message(arbitration_id=1, channel=4))
    (recorded,) = read_recording(str(file))
    assert recorded.sender == "channel5"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.blf", b"nothing at all", "is damaged, or not of the format of its ending"),
        ("x.mf4", b"nothing at all", "is damaged, or not of the format of its ending"),
        ("x.csv", b"a,b\n1,2\n", "is damaged, or not of the format of its ending"),
        ("x.log", b"# drive\n(2) x\n", "x.log, line 2 is not a line of candump"),
        ("x.txt", b"", "has no ending of a recording; endings: .asc, .blf, .mf4"),
        ("x.asc", b"", "has no frames to send"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    powertrain: Host, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ended = powertrain.run("play", str(tmp_path / name), "powertrain")
    assert ended.status == 2
    assert words in ended.err


def test_a_missing_file_is_one_sentence(powertrain: Host) -> None:
    ended = powertrain.run("play", "/nowhere/x.blf", "powertrain")
    assert ended.status == 2
    assert "cannot read /nowhere/x.blf (No such file or directory)" in ended.err


@pytest.mark.parametrize(
    "arguments", [("play", "x.blf", "powertrain"), ("record", "powertrain", "-o", "x.blf")]
)
def test_a_missing_extra_is_an_error_that_says_what_to_install(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "can":
            raise ModuleNotFoundError("No module named 'can'", name="can")
        return real(name, *rest)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    ended = powertrain.run(*arguments)
    assert ended.status == 2
    assert "needs the Python package can, which is missing; install it: pip install" in ended.err
    assert "'evercan[workbench]'" in ended.err


# --- record ---------------------------------------------------------------------------


def traffic(monkeypatch: pytest.MonkeyPatch, number: int, *more: str) -> None:
    """Let the bus have frames of the container and of the host in turn, one a millisecond."""
    end = f"vxcan{engine_id('dashboard')[:8]}"
    lines = []
    for step in range(number):
        seconds, micro = divmod(START + step * 1000, 1_000_000)
        text = f"{0x100 + step % 16:03X}#{step:08X}"
        if step % 2:
            lines.append(f"({seconds}.{micro:06d}) vcan0 {text} T")
        else:
            lines.append(f"({seconds}.{micro:06d}) {end} {text} R")
            lines.append(f"({seconds}.{micro + 1:06d}) vcan0 {text} R")  # its echo
    frames_of(monkeypatch, *lines, *more)


@EVERY
def test_record_writes_each_frame_once_with_its_sender(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
) -> None:
    traffic(monkeypatch, 1000)
    file = tmp_path / f"drive{ending}"
    ended = powertrain.run("record", "powertrain", "-o", str(file), "--duration", "0.5")
    assert ended.status == 0
    assert ended.err.splitlines()[0] == f"drive{ending}: 1,000 frames, none lost"
    found = list(read_recording(str(file)))
    assert [recorded.frame.text for recorded in found] == [
        f"{0x100 + step % 16:03X}#{step:08X}" for step in range(1000)
    ]
    if FORMATS[ending].senders:
        assert [recorded.sender for recorded in found] == ["dashboard", "vcan0"] * 500
    if FORMATS[ending].senders and ending != ".log":
        assert ended.err.splitlines()[1:] == ["channel 1: vcan0", "channel 2: dashboard"]


def test_record_reports_loss_and_ends_with_1(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lost = "DROPCOUNT: dropped 1200 CAN frames on 'any' socket (total drops 1200)"
    traffic(monkeypatch, 10, lost)
    ended = powertrain.run(
        "record", "powertrain", "-o", str(tmp_path / "x.log"), "--duration", "0.2"
    )
    assert ended.status == 1
    assert ended.err.splitlines() == [
        "x.log: 10 frames, 1,200 lost",
        "frames were lost because reading was too slow: on all CAN interfaces",
    ]


def test_record_names_frames_that_the_format_cannot_hold(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frames_of(
        monkeypatch,
        "(1790000000.000001) vcan0 123#00 T",
        "(1790000000.000002) vcan0 123##100 T",
        "(1790000000.000003) vcan0 123#R T",
    )
    ended = powertrain.run(
        "record", "powertrain", "-o", str(tmp_path / "x.trc"), "--duration", "0.2"
    )
    assert ended.status == 0
    assert ended.err.splitlines()[:2] == [
        "x.trc: 1 frames, none lost",
        LEFT_OUT,
    ]


def test_record_begins_a_new_file_after_a_time(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    traffic(monkeypatch, 2500)
    ended = powertrain.run(
        *("record", "powertrain", "-o", str(tmp_path / "x.asc"), "--duration", "0.5"),
        *("--rotate-time", "1s"),
    )
    assert ended.err.splitlines()[0] == "x-0001.asc to x-0003.asc: 2,500 frames, none lost"
    files = sorted(tmp_path.glob("x-*.asc"))
    found = [list(read_recording(str(file))) for file in files]
    assert [len(frames) for frames in found] == [1000, 1000, 500]
    assert {recorded.sender for recorded in found[2]} == {"vcan0", "dashboard"}


@pytest.mark.parametrize("ending", [".log", ".mf4", ".csv"])
def test_record_begins_a_new_file_after_a_size(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
) -> None:
    traffic(monkeypatch, 1000)
    powertrain.run(
        *("record", "powertrain", "-o", str(tmp_path / f"x{ending}"), "--duration", "0.5"),
        *("--rotate-size", "20k"),
    )
    files = sorted(tmp_path.glob(f"x-*{ending}"))
    assert len(files) >= 2
    assert sum(len(list(read_recording(str(file)))) for file in files) == 1000
    if ending != ".mf4":  # which is compressed
        assert all(20_000 <= file.stat().st_size < 40_000 for file in files[:-1])


def test_record_selects_frames(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    traffic(monkeypatch, 100)
    file = str(tmp_path / "x.log")
    powertrain.run(
        *("record", "powertrain", "-o", file, "--from", "dashboard", "--filter", "100:7F0"),
        *("--count", "20"),
    )
    assert [recorded.sender for recorded in read_recording(file)] == ["dashboard"] * 20


@pytest.mark.parametrize(
    ("there", "arguments"),
    [("x.log", []), ("x-0002.log", ["--rotate-time", "1m"])],
)
def test_record_replaces_no_file_unless_it_is_told_to(
    powertrain: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    there: str,
    arguments: list[str],
) -> None:
    traffic(monkeypatch, 10)
    (tmp_path / there).write_text("precious")
    line = ("record", "powertrain", "-o", str(tmp_path / "x.log"), "-t", "0.2", *arguments)
    ended = powertrain.run(*line)
    assert ended.status == 2
    assert f"{there} exists; name another file, or add --overwrite" in ended.err
    assert (tmp_path / there).read_text() == "precious"
    assert powertrain.run(*line, "--overwrite").status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x"], "x has no ending of a recording; endings: .asc"),
        (["-o", "/nowhere/x.log"], "cannot write /nowhere/x.log (No such file or directory)"),
        (["-o", "/nowhere/x.mf4"], "cannot write /nowhere/x.mf4 (No such file or directory)"),
        (["-o", "x.log", "--rotate-size", "many"], "many is not a size; write 100M"),
        (["-o", "x.log", "--rotate-time", "0"], "0 is not a time; write 10m"),
        (["-o", "x.log", "--from", "nobody"], "senders: vcan0, dashboard"),
    ],
)
def test_what_cannot_be_recorded_is_one_sentence(
    powertrain: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    traffic(monkeypatch, 1)
    ended = powertrain.run("record", "powertrain", *arguments)
    assert ended.status == 2
    assert words in ended.err.replace("\n", " ").replace("│", "")


def endless(monkeypatch: pytest.MonkeyPatch, *first: str) -> None:
    """Let the bus have some lines, and then frames without a pause."""

    def frames(**_: bool) -> Iterator[str]:
        yield from first
        for step in itertools.count():
            seconds, micro = divmod(START + step, 1_000_000)
            yield f"({seconds}.{micro:06d}) vcan0 123#{step % 256:02X} T"
            if step % 10 == 0:
                time.sleep(0.0005)

    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", frames)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@EVERY
def test_a_signal_ends_the_recording_and_no_frame_is_missing(
    powertrain: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ending: str,
    number: signal.Signals,
) -> None:
    traffic(monkeypatch, 100)
    real, called = Recorder._add, itertools.count()

    def signalled(self: Recorder, frame: BusFrame, sender: str) -> None:
        if next(called) == 50:  # within a batch
            os.kill(os.getpid(), number)
        real(self, frame, sender)

    monkeypatch.setattr(Recorder, "_add", signalled)
    file = tmp_path / f"x{ending}"
    before = [signal.getsignal(either) for either in (signal.SIGINT, signal.SIGTERM)]
    ended = powertrain.run("record", "powertrain", "-o", str(file))
    assert ended.status == 0
    assert ended.err.startswith(f"x{ending}: 100 frames, none lost")
    assert len(list(read_recording(str(file)))) == 100
    after = [signal.getsignal(either) for either in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


def test_a_second_ctrl_c_ends_the_command_at_once(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    traffic(monkeypatch, 10)

    def impatient(_: Capture) -> list[BusFrame]:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was not interrupted")

    def interrupted(self: Capture) -> None:
        signal.raise_signal(signal.SIGINT)
        self._lines.get()

    monkeypatch.setattr(Capture, "_gather", interrupted)
    monkeypatch.setattr(Capture, "rest", impatient)
    ended = powertrain.run("record", "powertrain", "-o", str(tmp_path / "x.log"))
    assert ended.status == INTERRUPTED


LOST = "DROPCOUNT: dropped 2 CAN frames on 'any' socket (total drops 2)"


def test_lost_frames_do_not_count_and_the_command_says_so(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    traffic(monkeypatch, 8, LOST)
    file = str(tmp_path / "x.log")
    ended = powertrain.run("record", "powertrain", "-o", file, "--count", "10", "-t", "0.5")
    assert ended.status == 1
    assert ended.err.splitlines() == [
        "frames were lost, and --count counts without them; Ctrl-C ends the recording",
        "x.log: 8 frames, 2 lost",
        "frames were lost because reading was too slow: on all CAN interfaces",
    ]
    endless(monkeypatch, LOST)
    ended = powertrain.run("record", "powertrain", "-o", file, "--count", "10", "--overwrite")
    assert ended.status == 1
    assert "x.log: 10 frames, 2 lost" in ended.err.splitlines()


def test_a_recording_ends_at_its_time_although_frames_arrive_faster_than_they_are_taken(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endless(monkeypatch)
    real = Capture._take

    def slow(self: Capture, line: str | CliError) -> None:
        time.sleep(0.0002)
        real(self, line)

    # What the reading has taken from the kernel is recorded: here it would take minutes.
    monkeypatch.setattr(Capture, "_take", slow)
    monkeypatch.setattr(Capture, "rest", lambda _: [])
    file = tmp_path / "x.log"
    begun = time.monotonic()
    ended = powertrain.run("record", "powertrain", "-o", str(file), "--duration", "1.5")
    assert ended.status == 0
    assert time.monotonic() - begun < 10
    assert len(list(read_recording(str(file)))) > 0


def test_frames_that_were_read_before_an_error_are_in_the_file(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def frames(**_: bool) -> Iterator[str]:
        yield "(1790000000.000001) vcan0 123#00 T"
        raise CliError("candump on gateway has ended: killed", "start this again")

    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", frames)
    file = tmp_path / "x.blf"
    ended = powertrain.run("record", "powertrain", "-o", str(file))
    assert ended.status == 2
    assert "candump on gateway has ended: killed; start this again" in ended.err
    assert len(list(read_recording(str(file)))) == 1


# --- play -----------------------------------------------------------------------------


def drive(number: int, gap: int = 1000) -> list[RecordedFrame]:
    return [
        RecordedFrame(START + step * gap, SENDERS[step % 2], Frame(step, b"\1", length=1))
        for step in range(number)
    ]


@EVERY
def test_play_sends_the_frames_at_their_times(
    powertrain: Host, fake_bus: FakeBus, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"x{ending}"
    write(file, drive(100, 5000))
    ended = powertrain.run("play", str(file), "powertrain")
    assert ended.status == 0
    assert ended.err.startswith("100 frames sent; 99 % of them were at most ")
    assert fake_bus.texts() == [f"{step:03X}#01" for step in range(100)]
    late = float(ended.err.split()[-2]) * 1000  # microseconds, of the worst
    assert abs(fake_bus.sent()[-1][0] - 99 * 5000) <= late + 5000


@pytest.mark.parametrize(
    ("options", "dues"),
    [
        (PlayOptions(), [0, 1000, 2000, 3000]),
        (PlayOptions(speed=2), [0, 500, 1000, 1500]),
        (PlayOptions(loop=2), [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000]),
        (PlayOptions(senders=["dashboard"]), [0, 2000]),
        (PlayOptions(filters=["002"]), [0]),
        (PlayOptions(filters=["002"], loop=3), [0, 1_000_000, 2_000_000]),
        (PlayOptions(filters=["002"], loop=2, speed=4), [0, 250_000]),
    ],
)
def test_the_times_of_playing(tmp_path: Path, options: PlayOptions, dues: list[int]) -> None:
    file = tmp_path / "x.log"
    write(file, drive(4))
    assert [due for due, _ in schedule(str(file), options)] == dues


def test_times_that_go_back_do_not_stop_the_playing(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_text("(10.000000) a 001#\n(12.000000) a 002#\n(11.000000) a 003#\n")
    dues = [due for due, _ in schedule(str(file), PlayOptions())]
    assert dues == [0, 2_000_000, 2_000_000]


def test_endless_playing_begins_again(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    write(file, drive(2))
    endless = schedule(str(file), PlayOptions(loop=0))
    assert [due for due, _ in itertools.islice(endless, 6)] == [0, 1000, 2000, 3000, 4000, 5000]


def test_play_sends_from_a_container_for_each_sender(
    powertrain: Host, fake_bus: FakeBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Sequence[str], str]] = []

    @contextmanager
    def players(
        _: Any, network: str, senders: Sequence[str], image: str, __: Any
    ) -> Iterator[dict[str, Program]]:
        asked.append((network, senders, image))
        with closing(fake_bus.player("play-dashboard")) as player:
            yield {"play-dashboard": player}

    monkeypatch.setattr("evercan.cli.commands.play.players_in_containers", players)
    file = tmp_path / "x.blf"
    write(file, drive(20, 1000))
    ended = powertrain.run("play", str(file), "powertrain", "--containers")
    assert ended.status == 0
    assert ended.err.startswith("20 frames sent; ")
    assert asked == [("powertrain", ["dashboard"], "evercan/can-tools:latest")]
    texts = [recorded.frame.text for recorded in drive(20, 1000)]
    assert fake_bus.texts("vcan0") == texts[::2]
    assert fake_bus.texts("play-dashboard") == texts[1::2]


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (409, "Conflict. The name is in use", "container play-dashboard already; end the command"),
        (
            404,
            "No such image",
            "has no image evercan/can-tools:latest for the container that",
        ),
        (500, "no space left", "that sends the frames of dashboard: no space left; see its log"),
    ],
)
def test_a_container_that_does_not_start_is_an_error(
    host: Host, fake_bus: FakeBus, tmp_path: Path, status: int, message: str, words: str
) -> None:
    network = network_entry(engine_id("powertrain"), "powertrain", {})
    answers = engine_answers([network], [plugin_entry("evercan:latest")])
    host.engine_that({**answers, "/containers/create": (status, {"message": message})})
    host.plugin(status_document(network_document("powertrain", 0)))
    file = tmp_path / "x.log"
    write(file, drive(4))
    ended = host.run("play", str(file), "powertrain", "--containers")
    assert ended.status == 2
    assert words in ended.err
    assert fake_bus.texts() == []


def test_containers_need_a_recording_with_senders(powertrain: Host, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    write(file, drive(4))
    ended = powertrain.run("play", str(file), "powertrain", "--containers")
    assert ended.status == 2
    assert "x.csv has no senders, for which --containers starts containers; leave out" in ended.err


def test_play_without_a_frame_names_the_senders(powertrain: Host, tmp_path: Path) -> None:
    file = tmp_path / "x.asc"
    write(file, drive(4))
    ended = powertrain.run("play", str(file), "powertrain", "--from", "nobody")
    assert ended.status == 2
    assert "has no frames to send that pass; senders in it: dashboard, vcan0" in ended.err
