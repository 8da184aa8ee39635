"""``evercan send``: send frames once."""

from __future__ import annotations

from collections.abc import Sequence

from evercan.cli.access.databases import Databases
from evercan.cli.access.reach import Target
from evercan.cli.access.sending import send as send_frames
from evercan.cli.access.wiring import open_bus
from evercan.cli.commands.wanted_frames import wanted_frames


def send(target: Target, network: str, words: Sequence[str], dbc: Sequence[str]) -> int:
    """Send the frames of a command line, in its order.

    Raises:
        CliError: there is no such network, a word is no frame, or a frame cannot be sent.
    """
    databases = Databases(dbc)
    frames = [wanted.frame(databases) for wanted in wanted_frames(words)]
    with open_bus(target, network) as bus:
        send_frames(bus.host, bus.wiring.bus, [(0, frame) for frame in frames])
    return 0
