"""``evercan-capture`` prints what its sockets have, and loses nothing while nobody reads it.

It is compiled with fake sockets, which read from records what they have.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evercan.cli.access.can_socket import text_of
from evercan.cli.views.traffic import lost_frames, parse

ROOT = Path(__file__).parents[3]
HARNESS = ROOT / "tests/support/capture_harness.c"
_RECORD = struct.Struct("=IIIIIIq72s")
_FRAME, _NOTHING, _END = range(3)
_WAITING = 1 << 18
CLASSIC, FD = 16, 72
EXTENDED, REMOTE, ERROR = 0x80000000, 0x40000000, 0x20000000
STAMP = 1_790_000_000_000_001


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the program as the image does, with fake sockets."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed; make installs it on Debian")
    made = tmp_path_factory.mktemp("capture") / "evercan-capture"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run([compiler, *flags, "-o", made, HARNESS], check=True)
    return made


def frame(
    data: bytes, *, index: int = 1, local: bool = False, lost: int = 0, stamp: int = STAMP
) -> bytes:
    """Pack a frame as a fake socket has it."""
    return _RECORD.pack(_FRAME, len(data), index, local, lost, 0, stamp, data.ljust(FD, b"\0"))


def nothing(socket: int = 0, lost: int = 0) -> bytes:
    """Pack a while without frames, and how many a socket has lost until then."""
    return _RECORD.pack(_NOTHING, 0, 0, 0, lost, socket, 0, bytes(FD))


def classic(can_id: int, data: bytes = b"", raw_length: int = 0) -> bytes:
    head = struct.pack("=IBBBB", can_id, len(data), 0, 0, raw_length)
    return head + data.ljust(8, b"\0")


def fd(can_id: int, data: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IBBBB", can_id, len(data), flags, 0, 0) + data.ljust(64, b"\0")


def printed(program: Path, records: Iterable[bytes], *arguments: str) -> list[str]:
    """Run it; return its lines without the first, which is empty."""
    ended = subprocess.run(
        [program, *arguments], input=b"".join(records), capture_output=True, check=True, timeout=60
    )
    assert ended.stderr == b""
    begin, *lines = ended.stdout.decode().splitlines()
    assert begin == ""
    return lines


@st.composite
def kernel_frames(draw: st.DrawFn) -> bytes:
    """Draw a frame as the kernel has it."""
    wide = draw(st.booleans())
    can_id = draw(st.integers(0, 0x1FFFFFFF)) | EXTENDED if wide else draw(st.integers(0, 0x7FF))
    kind = draw(st.sampled_from(["classic", "fd", "remote", "error"]))
    if kind == "fd":
        lengths = [*range(9), 12, 16, 20, 24, 32, 48, 64]
        length = draw(st.sampled_from(lengths))
        data = draw(st.binary(min_size=length, max_size=length))
        return fd(can_id, data, draw(st.integers(0, 255)))
    if kind == "error":
        can_id = draw(st.integers(1, 0x1FFFFFFF)) | ERROR
    if kind == "remote":
        can_id |= REMOTE
    data = draw(st.binary(max_size=8))
    return classic(can_id, data, draw(st.integers(0, 255)) if len(data) == 8 else 0)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(kernel_frames(), st.integers(1, 900), st.booleans()), max_size=50))
def test_every_frame_is_printed_as_by_the_capture_without_a_container(
    program: Path, drawn: list[tuple[bytes, int, bool]]
) -> None:
    records = [
        frame(data, index=index, local=local, stamp=STAMP + number)
        for number, (data, index, local) in enumerate(drawn)
    ]
    assert printed(program, records, "errors") == [
        f"(1790000000.{number + 1:06d}) can{index} {text_of(data)} {'T' if local else 'R'}"
        for number, (data, index, local) in enumerate(drawn)
    ]


def test_error_frames_are_only_printed_if_they_are_asked_for(program: Path) -> None:
    error = frame(classic(ERROR | 0x40, bytes(8)))
    assert printed(program, [error], "errors") == [
        "(1790000000.000001) can1 20000040#" + "00" * 8 + " R"
    ]
    # 91: no socket takes it, as no socket of the kernel would.
    ended = subprocess.run([program], input=error, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 91


def test_a_wrong_argument_is_an_error(program: Path) -> None:
    ended = subprocess.run([program, "any"], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (2, b"usage: evercan-capture [errors]\n")


def test_the_name_of_an_interface_that_is_gone_is_not_that_of_another(program: Path) -> None:
    records = [
        frame(classic(1), index=7),
        frame(classic(1), index=1007),
        frame(classic(1), index=7),
    ]
    lines = printed(program, records)
    assert [line.split()[1] for line in lines] == ["can7", "?", "can7"]


def losses(lines: Iterable[str]) -> Iterator[int]:
    """Yield the losses between frames; None of the lines may be of another kind."""
    for line in lines:
        if parse(line) is None:
            assert lost_frames(line) > 0, line
            yield lost_frames(line)


def test_losses_of_the_kernel_are_reported_once_also_those_after_the_last_frame(
    program: Path,
) -> None:
    records = [
        frame(classic(0x101)),
        frame(classic(0x101), lost=3),
        frame(classic(0x102), lost=2),  # another socket
        frame(classic(0x101), lost=3),
        nothing(socket=9, lost=10),
        nothing(socket=9, lost=10),
        frame(classic(0x101), lost=5),  # it was waiting already
        frame(classic(0x101), lost=11),
    ]
    assert list(losses(printed(program, records))) == [3, 2, 7, 1]


def test_frames_wait_in_memory_while_nobody_reads_the_output(program: Path) -> None:
    number = _WAITING + 50_000
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 20
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for step in range(number):
            running.stdin.write(frame(classic(0x123, step.to_bytes(4, "big"))))
        running.stdin.close()  # the program has read all but the rest in a pipe
        lines = running.stdout.read().decode().splitlines()[1:]
    frames = [captured for line in lines if (captured := parse(line)) is not None]
    numbers = [int(captured.text.partition("#")[2], 16) for captured in frames]
    assert numbers == sorted(set(numbers))
    assert _WAITING <= len(numbers) < number
    assert len(numbers) + sum(losses(lines)) == number
