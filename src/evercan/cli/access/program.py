"""A program that runs where the CAN interfaces are, with its input and output."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from evercan.cli.errors import CliError

_HEADER = struct.Struct(">BxxxI")
"""What the engine writes before each part of a program's output: which stream, how many bytes."""

_STDOUT = 1


class Program(Protocol):
    """A program that runs."""

    def write(self, data: bytes) -> None:
        """Write to its standard input.

        Raises:
            OSError: it has ended.
        """
        ...

    def lines(self) -> Iterator[str]:
        """Yield the lines of its standard output, until it ends."""
        ...

    def failure(self) -> str:
        """Return, once it has ended, why it failed; empty if it did not."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class LocalProgram:
    """A program on this machine."""

    def __init__(self, *words: str) -> None:
        """Start it.

        Raises:
            CliError: it does not start.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the program is ours
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C ends this command, which then ends the program
            )
        except OSError as error:
            raise CliError(f"cannot run {words[0]} ({error.strerror})") from error

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) :]

    def lines(self) -> Iterator[str]:
        """Yield the lines of its standard output."""
        assert self._process.stdout is not None  # noqa: S101 - the same
        for line in iter(self._process.stdout.readline, b""):
            yield line.decode(errors="replace")

    def failure(self) -> str:
        """Return its standard error if its exit status is not 0."""
        assert self._process.stderr is not None  # noqa: S101 - the same
        printed = self._process.stderr.read().decode(errors="replace").strip()
        status = self._process.wait()
        return (printed or f"exit status {status}") if status else ""

    def close(self) -> None:
        """Kill it if it still runs, and close the pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class ContainerProgram:
    """A program in a container, through the engine's stream."""

    def __init__(self, stream: Any, status: Callable[[], int]) -> None:
        """Take the stream of the SDK, and what reads the exit status."""
        # The SDK returns a file for the socket, and keeps the socket itself open.
        self._file = stream
        self._socket: socket.socket = getattr(stream, "_sock", stream)
        self._socket.settimeout(None)
        self._status = status
        self._printed = bytearray()

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        self._socket.sendall(data)

    def lines(self) -> Iterator[str]:
        """Yield the lines of its standard output; keep its standard error."""
        left = b""
        while len(head := self._read(_HEADER.size)) == _HEADER.size:
            stream, length = _HEADER.unpack(head)
            part = self._read(length)
            if stream != _STDOUT:
                self._printed += part
                continue
            *lines, left = (left + part).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)

    def _read(self, length: int) -> bytes:
        """Read a number of bytes; fewer at the end."""
        data = bytearray()
        with suppress(OSError):
            while len(data) < length and (part := self._socket.recv(length - len(data))):
                data += part
        return bytes(data)

    def failure(self) -> str:
        """Return its standard error if its exit status is not 0."""
        status = self._status()
        printed = self._printed.decode(errors="replace").strip()
        return (printed or f"exit status {status}") if status else ""

    def close(self) -> None:
        """Close the stream; the program ends with its container."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with suppress(OSError, AttributeError):
            self._file.close()
