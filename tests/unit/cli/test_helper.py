"""Frames are read in the helper container by the program that its image has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evercan.cli.access.helper import HelperHost, capture_script
from evercan.cli.errors import CliError

LIMITED = (
    b"The socket receive buffer size was adjusted due to /proc/sys/net/core/rmem_max.\n"
    b"read: Network is down\n"
)
ALL = " ".join(f"any,{digit}:F" for digit in "0123456789ABCDEF")


def install(folder: Path, name: str) -> None:
    """Install a program that prints its name and its arguments."""
    program = folder / name
    program.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
    program.chmod(0o755)


def run(folder: Path, errors: bool) -> list[str]:
    ended = subprocess.run(
        ["/bin/sh", "-c", capture_script(errors)],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("errors", "captured", "dumped"),
    [
        (False, "evercan-capture ", ALL),
        (True, "evercan-capture errors", ALL.replace("any,0:F", "any,0:F,#1FFFFFFF")),
    ],
)
def test_candump_reads_frames_if_the_image_has_no_program_for_it(
    tmp_path: Path, errors: bool, captured: str, dumped: str
) -> None:
    install(tmp_path, "candump")
    # The empty line is the sign that it has begun.
    assert run(tmp_path, errors) == ["", f"candump -L -x -d -r 4194304 {dumped}"]
    install(tmp_path, "evercan-capture")
    assert run(tmp_path, errors) == [captured]


class Container:
    """A container in which a program has printed something, and has ended."""

    def __init__(self, *printed: tuple[bytes | None, bytes | None]) -> None:
        self._printed = printed
        self.engine = SimpleNamespace(api=self)

    def call(self, call: Any, *arguments: Any) -> Any:
        return call("container", *arguments)

    def exec_create(self, _: str, words: list[str]) -> dict[str, str]:
        assert words == ["sh", "-c", capture_script(errors=False)]
        return {"Id": "exec"}

    def exec_start(self, exec_id: str, **how: bool) -> Iterator[tuple[bytes | None, bytes | None]]:
        assert (exec_id, how) == ("exec", {"stream": True, "demux": True})
        return iter(self._printed)


def host(container: Container) -> HelperHost:
    reached = HelperHost.__new__(HelperHost)
    reached.name, reached._container = "gateway", container  # type: ignore[assignment]
    return reached


def test_lines_may_come_in_pieces_and_the_end_is_an_error_with_its_reason() -> None:
    frames = host(
        Container((b"\n(1) va", None), (None, LIMITED), (b"n0 1#\n(2) vcan0 2#\n(3", None))
    ).frames()
    assert [next(frames) for _ in range(3)] == ["", "(1) van0 1#", "(2) vcan0 2#"]
    with pytest.raises(CliError) as caught:
        next(frames)
    # That a buffer is smaller than it could be has ended nothing.
    assert str(caught.value) == (
        "the capture on gateway has ended: read: Network is down; start this again"
    )
    with pytest.raises(CliError, match="ended: the engine or its container stopped; start"):
        next(host(Container()).frames())
