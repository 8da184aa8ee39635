"""Draw docs/watch.svg: the real screen of ``evercan watch``, fed with a made-up host.

``PYTHONPATH=src .venv/bin/python -m tools.watch_picture``

The host has three networks: one on a vcan, one on a CAN controller and one whose controller is
unplugged. The clock and all counters are computed, so the picture is the same on every run.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual.screen import Screen

from evercan.cli.access.feed import Feed
from evercan.cli.pages.watch_app import WatchApp
from evercan.cli.views.docker import DockerEndpoint, DockerNetwork
from evercan.cli.views.overview import Overview
from evercan.cli.views.status_document import parse_status

PICTURE = Path(__file__).parents[1] / "docs/watch.svg"
COLUMNS, LINES = 92, 27
OBSERVATIONS = 90
"""How often the host is observed before the picture is taken: the curves need a history."""

_PLUGIN = "evercan:latest"
_START = 1_790_000_000.0
_POWERTRAIN = {"engine-control": 420.0, "gateway": 95.0, "logger": 0.0, "transmission": 180.0}
_CHASSIS = {"abs": 240.0, "airbag": 50.0, "steering": 110.0}
"""The containers on a network, and the frames that they send a second on average."""

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_FONTS = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class SampleHost(Feed):
    """Answers like a host whose counters grow by one second's frames with each observation."""

    def __init__(self) -> None:
        """Start one second before the first observation."""
        self.seconds = 0

    def read(self) -> list[Overview]:
        """Return the next observation."""
        self.seconds += 1
        networks = [
            self._network("powertrain", "vcan0", _POWERTRAIN, last_recovery=_RECOVERY),
            self._network("chassis", "can0", _CHASSIS, kind="physical", controller=_CONTROLLER),
            self._network("trailer", "can1", {}, kind="physical", present=False, up=False),
        ]
        status = {
            "schema": 1,
            "version": "0.1.0",
            "started": _START - 3 * 86400,
            "now": _START + self.seconds,
            "recovery": "auto",
            "reasons": [_UNPLUGGED],
            "networks": [document for _, document in networks],
        }
        return [parse_status(_PLUGIN, [network for network, _ in networks], status)]

    def lines(self) -> Iterator[str]:
        """Yield no frames: their load would depend on this machine's clock."""
        yield from ()

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _network(
        self, name: str, bus: str, containers: dict[str, float], **more: Any
    ) -> tuple[DockerNetwork, dict[str, Any]]:
        """Return a network as the engine lists it, and as ``GET /status`` has it."""
        sent = {
            container: self._frames(average, phase)
            for phase, (container, average) in enumerate(containers.items())
        }
        total = sum(sent.values())
        members = tuple(
            DockerEndpoint(container, _id(container), {}, _id(f"container {container}"))
            for container in containers
        )
        document = {
            "network": _id(name),
            "bus": bus,
            "kind": "virtual",
            "present": True,
            "up": True,
            "controller": None,
            "endpoints": [
                {
                    "endpoint": _id(container),
                    "phase": "joined",
                    "host_end": f"vxcan{_id(container)[:8]}",
                    "present": True,
                    "up": True,
                    "frames": {"sent": own, "received": total - own, "dropped": 0},
                }
                for container, own in sent.items()
            ],
            **more,
        }
        return DockerNetwork(_id(name), name, {}, members), document

    def _frames(self, average: float, phase: int) -> int:
        """Count the frames since the start; their rate swings slowly around the average."""
        swing = 9.0 * math.sin(self.seconds / 11 + phase) + 2.0 * math.sin(self.seconds / 2.3)
        return round(average * (3600 + self.seconds + swing / 2))


_CONTROLLER = {"state": "error-active", "bitrate": 500_000}
_RECOVERY = {
    "at": _START - 12 * 60,
    "what": "the bus interface vcan0 was missing; it was restored",
}
_UNPLUGGED = {
    "kind": "bus-absent",
    "bus": "can1",
    "endpoint": None,
    "text": "the CAN controller can1 is absent",
    "remedy": "plug it in, or load its driver",
}


def _id(name: str) -> str:
    """Make up an id as the engine's are: 64 hexadecimal digits."""
    return hashlib.sha256(name.encode()).hexdigest()


def _no_dump(network: str, _: str) -> Screen[None]:
    raise NotImplementedError(f"the picture shows no frames of {network}")


async def draw(observations: int = OBSERVATIONS) -> str:
    """Run the screen without a terminal for some observations, and return its picture."""
    host = SampleHost()
    app = WatchApp(host, interval=3600, dump=_no_dump)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        for observation in range(1, observations + 1):
            while host.seconds < observation:
                await pilot.pause(0.01)
            await pilot.pause(0.01)
            if observation < observations:
                await pilot.press("r")
        await pilot.pause(0.1)
        return without_web_fonts(app.export_screenshot(title="evercan watch"))


def without_web_fonts(svg: str) -> str:
    """Use the reader's own fonts: a picture must not load any from another site."""
    svg = _FONT_FACE.sub("", svg)
    return re.sub(r"font-family: (?:Fira Code|arial)[^;]*;", f"font-family: {_FONTS};", svg)


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(draw()))
