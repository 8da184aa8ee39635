"""Draw docs/web.png: the real page of ``evercan web`` in a browser, fed with a made-up host.

``PYTHONPATH=src .venv/bin/python -m tools.web_picture``

The host is that of the picture of ``evercan watch``; its frames are sent here in real time, for as
long as the curves need.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from evercan.cli.access.databases import Databases
from evercan.cli.access.live import Live
from evercan.cli.pages.web import Access, Server
from evercan.cli.views.docker import DockerNetwork
from evercan.cli.views.load import Bitrates
from tools.browser import Tab, browser
from tools.common.checkout import ROOT
from tools.watch_picture import SampleHost

PICTURE = ROOT / "docs/web.png"
DATABASE = ROOT / "tests/unit/cli/databases/car.dbc"
WIDTH, HEIGHT = 1280, 1520
SECONDS = 70.0
"""How long the host is watched before the picture is taken."""

_BATCH = 0.02
_LIMITS = {
    "send": "700:700",
    "receive": "all",
    "send_rate": 100,
    "send_burst": 10,
    "over_rate": 0,
    "denied": {"send": 12, "receive": 0},
}
_SENDERS = {"engine-control": "vcan0", "transmission": "vcan0", "gateway": "vcan0", "abs": "can0",
            "airbag": "can0", "steering": "can0"}  # fmt: skip
"""Containers that send, and their buses."""


class LiveHost(SampleHost):
    """The made-up host with frames, and with a member that has limits."""

    def __init__(self) -> None:
        """Take over the names of interfaces from the first observation."""
        super().__init__()
        self._ends: dict[str, str] = {}
        self._sent: Counter[str] = Counter()
        self._over = threading.Event()

    def _network(
        self, name: str, bus: str, containers: dict[str, float], **more: Any
    ) -> tuple[DockerNetwork, dict[str, Any]]:
        network, document = super()._network(name, bus, containers, **more)
        total = sum(self._sent[container] for container in containers)
        for member, endpoint in zip(network.members, document["endpoints"], strict=True):
            self._ends[member.container] = endpoint["host_end"]
            own = self._sent[member.container]
            endpoint["frames"] |= {"sent": own, "received": total - own}
            if member.container == "gateway":
                endpoint["access"] = _LIMITS
        return network, document

    def lines(self) -> Iterator[str]:
        """Yield the frames of all senders, each at its host end and on its bus."""
        yield ""
        begun, number = time.time(), 0
        while not self._over.wait(_BATCH):
            while (stamp := begun + number * _BATCH) <= time.time():
                number += 1
                for sender, bus in _SENDERS.items():
                    for text in _frames(sender, number, stamp):
                        self._sent[sender] += 1
                        for interface in (self._ends[sender], bus):
                            yield f"({stamp:.6f}) {interface} {text} R"

    def close(self) -> None:
        """End the frames."""
        self._over.set()


def _frames(sender: str, number: int, now: float) -> Iterator[str]:
    """Yield what a container sends in 20 ms."""
    speed = 1800 + 900 * math.sin(now / 9) + 250 * math.sin(now / 2.1)
    if sender == "engine-control":
        throttle = round(120 + 90 * math.sin(now / 9 + 0.6))
        data = round(speed * 4).to_bytes(2, "little") + bytes([46, 2 if speed > 1700 else 1])
        yield f"123#{(data + bytes([throttle, 0, 0, 0])).hex().upper()}"
        yield f"18FEF100#00{round(speed / 25 * 256):04X}0000000000"
    elif sender == "transmission":
        yield f"3A0#{number & 0xFF:02X}4000{round(speed) & 0xFF:02X}"
    elif sender == "gateway" and number % 10 == 0:
        yield f"700#02{number // 10 & 0xFF:02X}00"
    elif sender == "abs":
        left, right = round(60 * 100 + 300 * math.sin(now)), round(60 * 100 + 300 * math.cos(now))
        yield f"18FED51B#{left:04X}{right:04X}00000000"
    elif sender == "steering":
        yield f"1D4#{round(0x800 + 300 * math.sin(now / 3)):04X}FF"
    elif sender == "airbag" and number % 5 == 0:
        yield "050#00"


async def draw(seconds: float = SECONDS) -> bytes:
    """Serve the page for some seconds, and return a PNG of it."""
    # A busy machine starts the browser slowly, and would send many frames at once after that.
    async with browser() as tab:
        live = Live(LiveHost(), Databases([str(DATABASE)]), Bitrates(500_000))
        live.start()
        server = Server(live, Access())
        try:
            port = await server.start("127.0.0.1", 0)
            await tab.resize(WIDTH, HEIGHT)
            await tab.open(f"http://127.0.0.1:{port}/")
            await _plot(tab, "EngineSpeed", "Throttle")
            await asyncio.sleep(seconds)
            return await tab.picture()
        finally:
            live.close()
            await server.close()


async def _plot(tab: Tab, *signals: str) -> None:
    for signal in signals:
        chip = (
            "[...document.querySelectorAll('.chip')]"
            f".find((chip) => chip.textContent.startsWith('{signal}'))"
        )
        await tab.wait_for(f"Boolean({chip})")
        await tab.eval(f"{chip}.click()")


if __name__ == "__main__":
    PICTURE.write_bytes(asyncio.run(draw()))
