"""A client of QEMU's machine protocol (QMP)."""

import json
import re
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.errors import LabError

_REMEDY = "read qemu.log and console.log in the run folder (python -m lab paths)"


class QmpError(LabError):
    """QEMU rejected a command or closed the connection."""


class Qmp:
    """One connection. QEMU serves only one at a time, so close it soon."""

    def __init__(self, path: Path, timeout: float = 15.0) -> None:
        """Connect to the socket ``path``; ``timeout`` in seconds holds for each answer.

        Raises:
            QmpError: QEMU does not listen there.
        """
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("rwb")
            self._read()  # the greeting
            self.execute("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise QmpError(f"QEMU does not answer at {path}: {error}", _REMEDY) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """Run ``command`` and return its answer.

        Raises:
            QmpError: QEMU rejected it or closed the connection.
        """
        message = {"execute": command, "arguments": arguments}
        self._lines.write(json.dumps(message).encode() + b"\n")
        self._lines.flush()
        while True:
            answer = self._read()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"QEMU rejected {command}: {answer['error'].get('desc')}", _REMEDY)

    def wait_event(self, name: str, timeout: float, **data: object) -> None:
        """Wait until QEMU reports the event ``name`` with ``data``.

        Raises:
            QmpError: It did not report it within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                event = self._read()
            except TimeoutError:
                break
            if event.get("event") == name and data.items() <= event.get("data", {}).items():
                self._socket.settimeout(self._timeout)
                return
        raise QmpError(f"QEMU did not report {name} within {timeout:.0f} s", _REMEDY)

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QmpError("QEMU closed the connection", _REMEDY)
        answer: dict[str, Any] = json.loads(line)
        return answer


def forwarded_ports(usernet: str) -> dict[int, int]:
    """Return loopback ports by guest port, from the text of QEMU's ``info usernet``.

    QEMU forwards from port 0, so the kernel chooses free ports; only QEMU knows which.
    """
    pattern = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+\S+\s+(\d+)\s+\S+\s+(\d+)")
    return {int(guest): int(host) for host, guest in pattern.findall(usernet)}
