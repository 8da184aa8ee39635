"""Test that frames are sent as they were asked for, and at their times."""

from __future__ import annotations

import io
import itertools
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.access import player
from evercan.cli.access.can_socket import text_of
from evercan.cli.access.databases import Databases
from evercan.cli.access.program import ContainerProgram, Program
from evercan.cli.access.senders import container_of
from evercan.cli.access.sending import Sent, record_of, send_together
from evercan.cli.commands.generate import Ramp, fuzz, limited, parse_ids
from evercan.cli.errors import CliError
from evercan.cli.views.frame import FD_LENGTHS, Frame, parse_frame, parse_input
from tests.support.evercan_host import Host
from tests.unit.cli.conftest import FakeBus

CAR = str(Path(__file__).parent / "databases/car.dbc")


@st.composite
def frames(draw: st.DrawFn, fd: bool | None = None, remote: bool | None = None) -> Frame:
    """Draw a frame that a program can send."""
    extended = draw(st.booleans())
    can_id = draw(st.integers(0, 0x1FFFFFFF if extended else 0x7FF))
    if draw(st.booleans()) if fd is None else fd:
        length = draw(st.sampled_from(FD_LENGTHS))
        data = draw(st.binary(min_size=length, max_size=length))
        flags = draw(st.integers(0, 3))
        return Frame(can_id, data, extended=extended, fd=True, flags=flags, length=length)
    if draw(st.booleans()) if remote is None else remote:
        return Frame(can_id, extended=extended, remote=True, length=draw(st.integers(0, 8)))
    data = draw(st.binary(max_size=8))
    return Frame(can_id, data, extended=extended, length=len(data))


@given(frames())
def test_a_frame_survives_its_text(frame: Frame) -> None:
    assert parse_frame(frame.text) == frame


@given(frames())
def test_the_kernel_gets_the_frame_that_was_asked_for(frame: Frame) -> None:
    due, size, packed = player.RECORD.unpack(record_of(7, frame))
    assert due == 7
    assert text_of(packed[:size]) == frame.text


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("123#c0ffee", "123#C0FFEE"),
        ("123#11.22.33", "123#112233"),
        ("18fef100##1aabb", "18FEF100##1AABB"),
        ("123#r", "123#R"),
        ("123#", "123#"),
        ("123#1122334455667788_b", "123#1122334455667788_B"),
    ],
)
def test_frames_are_read_as_cansend_reads_them(text: str, frame: str) -> None:
    assert parse_input(text).text == frame


@pytest.mark.parametrize(
    "text", ["", "#", "12#00", "800#00", "20000001#00", "123#0", "123#001122334455667788", "123#R9"]
)
def test_what_is_no_frame_is_an_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(CliError, match="is not a frame; write ID#DATA"):
        parse_input(text)


def test_a_length_that_can_fd_lacks_is_an_error_that_lists_the_lengths() -> None:
    with pytest.raises(CliError, match=r"has 9 bytes, which CAN FD cannot carry; .* 12, 16, 20"):
        parse_input("123##0" + "00" * 9)


# --- messages of a database --------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "values", "text"),
    [
        ("EngineData", {"EngineSpeed": "1024", "Gear": "Second gear"}, "123#0010D80200000000"),
        ("EngineData", {"Gear": "0x7"}, "123#0000D80700000000"),
        ("WheelSpeeds", {"FrontLeft": "10"}, "18FED51B#03E8000000000000"),
        ("Diagnosis", {}, "200#0000000000000000"),
        ("Diagnosis", {"Voltage": "1.5"}, "200#00DC050000000000"),
        ("Diagnosis", {"Current": "-10"}, "200#019CFF0000000000"),
        ("Diagnosis", {"Hours": "5"}, "200#0203050000000000"),
        ("Diagnosis", {"Counter": "5", "Sub": "9"}, "200#0209050000000000"),
        ("Position", {"Latitude": "12"}, "201#0000404100000000"),
        ("ThisMessageHasANameOfMoreThan32CharactersInAll", {}, "203#00"),
    ],
)
def test_messages_are_encoded(message: str, values: dict[str, str], text: str) -> None:
    databases = Databases([CAR])
    frame = databases.encode(message, values)
    assert frame.text == text
    decoded = databases.decode(frame)
    assert decoded is not None
    assert decoded.message == message
    assert not decoded.error


@pytest.mark.parametrize(
    ("message", "values", "words"),
    [
        (
            "EngineDat",
            {},
            'no message "EngineDat" in the databases of --dbc; similar ones: EngineData',
        ),
        ("Zzz", {}, 'no message "Zzz" in the databases of --dbc; messages: BatteryPack, CruiseC'),
        ("EngineData", {"Speed": "1"}, 'has no signal "Speed"; signals: EngineSpeed, Coolant'),
        (
            "EngineData",
            {"EngineSpeed": "20000"},
            "out of range; the database has 0 to 16383.75 rpm",
        ),
        ("EngineData", {"Gear": "Third"}, "Gear=Third is not a number; .* values: Neutral, First"),
        ("Diagnosis", {"Current": "1", "Page": "0"}, "Current only with Page=1; leave out Page"),
        ("Diagnosis", {"Page": "9"}, "cannot encode Diagnosis: .*multiplexer"),
    ],
)
def test_what_cannot_be_encoded_is_an_error(
    message: str, values: dict[str, str], words: str
) -> None:
    with pytest.raises(CliError, match=words):
        Databases([CAR]).encode(message, values)


# --- times ----------------------------------------------------------------------------


def records(*dues: int) -> io.BytesIO:
    frame = Frame(0x123, b"\1", length=1)
    end = player.RECORD.pack(player.END, 0, b"")
    return io.BytesIO(b"".join(record_of(due, frame) for due in dues) + end + b"ignored")


def test_frames_are_sent_at_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    bus, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with bus, other:
        started = time.monotonic()
        player.play(records(0, 100_000, 100_000, 300_000), bus)
        assert 0.5 <= time.monotonic() - started < 5
        assert [len(other.recv(100)) for _ in range(4)] == [player.CLASSIC] * 4
    clock, sent, late, worst = map(int, capsys.readouterr().out.split())
    assert abs(clock / 1_000_000 - started) < 5
    assert sent == 4
    assert late <= worst + 10


def test_lateness_of_seconds_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    lateness = player._Lateness()
    for late in (3, 2_500_000):
        lateness.add(late)
    lateness.report()
    assert capsys.readouterr().out == "2 2500000 2500000\n"


def test_programs_start_at_one_moment(fake_bus: FakeBus) -> None:
    names = ("vcan0", "vcan1", "vcan2")
    schedule = [(step * 5_000, Frame(step, b"", length=0), names[step % 3]) for step in range(60)]
    with ExitStack() as stack:
        programs: dict[str, Program] = {}
        for name in names:
            programs[name] = stack.enter_context(closing(fake_bus.player(name)))
            time.sleep(0.1)
        sent = send_together(programs, schedule)
    assert sent.frames == 60
    first = min(at for name in names for at, _ in fake_bus.lines(name))
    for name in names:
        wanted = [(due, frame.text) for due, frame, sender in schedule if sender == name]
        found = fake_bus.lines(name)
        assert [text for _, text in found] == [text for _, text in wanted]
        for (at, _), (due, _) in zip(found, wanted, strict=True):
            assert abs(at - first - due) <= sent.worst + 5_000


def test_a_program_that_fails_ends_all(fake_bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(1, b"", length=0)
    with ExitStack() as stack:
        good = stack.enter_context(closing(fake_bus.player("vcan0")))
        monkeypatch.setenv("FAKE_BUS_ERROR", "ENETDOWN")
        bad = stack.enter_context(closing(fake_bus.player("vcan1")))
        schedule = [(0, frame, "vcan0"), (0, frame, "vcan1"), (60_000_000, frame, "vcan0")]
        with pytest.raises(CliError, match="cannot send on vcan1 after 0 frames: Network is down"):
            send_together({"vcan0": good, "vcan1": bad}, schedule)


@pytest.mark.parametrize(
    ("sender", "container"),
    [("dashboard", "play-dashboard"), ("~ay-gateway 1", "play-_ay-gateway_1")],
)
def test_a_senders_container_has_a_name_that_the_engine_takes(sender: str, container: str) -> None:
    assert container_of(sender) == container


@pytest.mark.parametrize(
    ("status", "failure"), [(0, ""), (1, "vcan0: Network is down"), (7, "vcan0: Network is down")]
)
def test_a_program_in_a_container_is_read_from_the_engines_stream(
    status: int, failure: str
) -> None:
    ours, engine = socket.socketpair()
    program = ContainerProgram(ours, lambda: status)
    with closing(program), engine:
        program.write(b"frames")
        assert engine.recv(100) == b"frames"
        for stream, part in (
            (1, b"1 2 "),
            (2, b"vcan0: Network "),
            (1, b"3\n4"),
            (2, b"is down\n"),
        ):
            engine.sendall(bytes([stream, 0, 0, 0]) + len(part).to_bytes(4, "big") + part)
        engine.sendall(b"\1\0\0\0\0\0\0\5 5 6\n\1\0")  # and a head that is cut off
        engine.shutdown(socket.SHUT_WR)
        assert list(program.lines()) == ["1 2 3", "4 5 6"]
        assert program.failure() == failure


class FullQueue:
    """A socket whose queue is full a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def send(self, _: bytes) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OSError(105, "No buffer space available")


def test_a_full_queue_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    player.play(records(0, 1), FullQueue(5))  # type: ignore[arg-type] # all that it uses
    assert capsys.readouterr().out.splitlines()[1].startswith("2 ")


def test_a_queue_that_stays_full_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "_PATIENCE", 0.05)
    with pytest.raises(OSError, match="No buffer space"):
        player.play(records(0, 1), FullQueue(1 << 40))  # type: ignore[arg-type] # the same
    assert capsys.readouterr().out.splitlines()[1:] == ["0 0 0"]


# --- patterns ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_frames() -> None:
    def first(seed: int) -> list[tuple[int, Frame]]:
        return list(limited(fuzz(seed, (0x100, 0x1FF, False), 0.01, fd=False), 50, None))

    assert first(7) == first(7)
    assert first(7) != first(8)
    assert all(0x100 <= frame.can_id <= 0x1FF for _, frame in first(7))
    assert [due for due, _ in first(7)][:3] == [0, 10_000, 20_000]


@given(st.integers(0, 1 << 32), st.booleans())
def test_random_frames_are_frames_that_a_bus_carries(seed: int, fd: bool) -> None:
    for _, frame in itertools.islice(fuzz(seed, (0, 0x1FFFFFFF, True), 1, fd=fd), 10):
        assert parse_input(frame.text) == frame


def test_a_schedule_ends_after_a_time_and_a_number() -> None:
    schedule = [(due, Frame(1)) for due in range(0, 3_000_000, 500_000)]
    assert len(list(limited(iter(schedule), None, 1.0))) == 2
    assert len(list(limited(iter(schedule), 1, 1.0))) == 1
    assert len(list(limited(iter(schedule), None, None))) == 6


def test_a_ramp_reaches_both_ends_and_begins_again() -> None:
    ramp = Ramp("Speed", 10, 20)
    assert [ramp.at(step, 5) for step in range(6)] == [10, 12.5, 15, 17.5, 20, 10]


@pytest.mark.parametrize("text", ["", "100", "1FF-100", "000-800", "100-000001FF", "0-7"])
def test_invalid_ids_are_an_error(text: str) -> None:
    with pytest.raises(CliError, match="is not FROM-TO"):
        parse_ids(text)


# --- the commands ------------------------------------------------------------------------


def test_send_sends_frames_in_order(powertrain: Host, fake_bus: FakeBus) -> None:
    ended = powertrain.run(
        "send", "powertrain", "--dbc", CAR, "123#c0ffee", "EngineData", "Gear=Reverse", "7FF##1AA"
    )
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert fake_bus.texts() == ["123#C0FFEE", "123#0000D80700000000", "7FF##1AA"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send", "powertrain"], "name at least one FRAME"),
        (["send", "powertrain", "123"], 'no message "123"'),
        (["send", "powertrain", "Speed=1"], "Speed=1 follows no message"),
        (["send", "powertrain", "123#00", "Speed=1"], "Speed=1 follows no message"),
        (["send", "nonsense", "123#00"], "networks: powertrain"),
        (["generate", "powertrain"], "there is nothing to send"),
        (["generate", "powertrain", "123#00", "--fuzz"], "--fuzz sends random frames only"),
        (["generate", "powertrain", "123#00", "--seed", "1"], "--seed is for random frames"),
        (["generate", "powertrain", "123#00", "--fd"], "--fd is for random frames"),
        (["generate", "powertrain", "--fuzz", "--ids", "x"], "--ids x is not FROM-TO"),
        (["generate", "powertrain", "123#00", "--ramp", "0"], "--ramp 0 is not NAME=FROM..TO"),
        (["generate", "powertrain", "123#00", "--ramp", "a=b..c"], "is not NAME=FROM..TO"),
        (["generate", "powertrain", "123#00", "--ramp", "1=0..5"], "--ramp 1 is in none"),
        (["generate", "powertrain", "123#00", "--ramp", "0=0..256"], "256, which is no byte"),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(
    powertrain: Host, fake_bus: FakeBus, arguments: list[str], words: str
) -> None:
    ended = powertrain.run(*arguments)
    assert ended.status == 2
    assert words in ended.err
    assert fake_bus.sent() == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ENETDOWN", "Network is down; the bus interface is down"),
        ("EINVAL", "Invalid argument; the bus interface carries no CAN FD frames"),
        ("ENODEV", "No such device; the bus interface is missing"),
        ("EIO", "Input/output error; start this again"),
    ],
)
def test_a_frame_that_cannot_be_sent_is_an_error_with_a_remedy(
    powertrain: Host,
    fake_bus: FakeBus,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    words: str,
) -> None:
    monkeypatch.setenv("FAKE_BUS_ERROR", error)
    monkeypatch.setenv("FAKE_BUS_ERROR_AT", "2")
    ended = powertrain.run("generate", "powertrain", "123#00", "--period", "0.001")
    assert ended.status == 2
    assert f"cannot send on vcan0 after 2 frames: {words}" in ended.err
    assert len(fake_bus.sent()) == 2


def test_generate_sends_cyclically(powertrain: Host, fake_bus: FakeBus) -> None:
    ended = powertrain.run(
        "generate", "powertrain", "123#00", "456#01", "--period", "0.05", "--duration", "0.2"
    )
    assert ended.status == 0
    assert ended.err.startswith("8 frames sent; 99 % of them were at most ")
    assert fake_bus.texts() == ["123#00", "456#01"] * 4
    # A busy machine sends the first frame late, and the others at their times.
    late = float(ended.err.split()[-2]) * 1000  # microseconds, of the worst
    assert fake_bus.sent()[-1][0] + late >= 149_000


def test_generate_runs_a_ramp_through_bytes(powertrain: Host, fake_bus: FakeBus) -> None:
    powertrain.run(
        *("generate", "powertrain", "123#AA00", "--ramp", "1=0..255", "--over", "0.004"),
        *("--period", "0.001", "--count", "5"),
    )
    assert fake_bus.texts() == ["123#AA00", "123#AA55", "123#AAAA", "123#AAFF", "123#AA00"]


def test_generate_runs_a_ramp_through_a_signal(powertrain: Host, fake_bus: FakeBus) -> None:
    powertrain.run(
        *("generate", "powertrain", "--dbc", CAR, "Position", "--ramp", "Latitude=-1..1"),
        *("--over", "0.003", "--period", "0.001", "--count", "3"),
    )
    decoded = [
        Databases([CAR]).decode(frame) for text in fake_bus.texts() if (frame := parse_frame(text))
    ]
    assert [found and found.signals[0].value for found in decoded] == [-1.0, 0.0, 1.0]


def test_generate_reports_a_ramp_out_of_range_before_it_sends(
    powertrain: Host, fake_bus: FakeBus
) -> None:
    ended = powertrain.run(
        *("generate", "powertrain", "--dbc", CAR, "EngineData", "--ramp", "EngineSpeed=0..20000")
    )
    assert ended.status == 2
    assert "EngineSpeed=20000.0 is out of range" in ended.err
    assert fake_bus.sent() == []


def test_generate_names_the_seed_that_repeats_its_frames(
    powertrain: Host, fake_bus: FakeBus
) -> None:
    arguments = ("generate", "powertrain", "--fuzz", "--fd", "--period", "0.001", "--count", "5")
    ended = powertrain.run(*arguments)
    seed = ended.err.split("--seed ")[1].split()[0]
    powertrain.run(*arguments, "--seed", seed)
    texts = fake_bus.texts()
    assert len(texts) == 10
    assert texts[:5] == texts[5:]


def test_generate_ends_with_ctrl_c_and_reports(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        arguments[-1](Sent(3000, 10, 20))
        raise KeyboardInterrupt

    monkeypatch.setattr("evercan.cli.commands.generate.send", interrupted)
    ended = powertrain.run("generate", "powertrain", "123#00")
    assert ended.status == 0
    assert ended.err == (
        "3,000 frames sent; 99 % of them were at most 0.01 ms late, the worst 0.02 ms\n"
    )
