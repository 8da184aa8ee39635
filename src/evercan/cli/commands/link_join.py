"""``evercan link join``: print the frames of a bus of other hosts, on a machine without CAN."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from evercan.cli.access.can_socket import text_of
from evercan.cli.errors import CliError


def join(bus: str, address: str, certs: Path | None, *, count: int | None) -> int:
    """Print frames in candump's log format, with the sender's host in place of the interface.

    Args:
        bus: the bus's name.
        address: of a link.
        certs: folder of the certificates; None without TLS.
        count: frames to print; None for all until Ctrl-C.

    Raises:
        CliError: the bus cannot be reached, or eclipse-zenoh is not installed.
    """
    try:
        desks: Any = importlib.import_module("evercan.link.desk")
    except ModuleNotFoundError as error:
        raise CliError(
            f"this command needs the package {error.name}", "pip install 'evercan[link]'"
        ) from error
    try:
        desk = desks.Desk(bus, address, certificates=certs)
    except desks.CannotJoin as error:
        raise CliError(str(error)) from error
    try:
        printed = 0
        while count is None or printed < count:
            host, time, frame = desk.receive(None)
            print(f"({time:017.6f}) {host} {text_of(frame)}", flush=True)
            printed += 1
    finally:
        desk.close()
    return 0
