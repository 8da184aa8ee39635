"""A host with made-up buses, whose frames and counters run in real time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.feed import Feed
from evercan.cli.errors import CliError
from evercan.cli.views.overview import Overview
from evercan.cli.views.status_document import parse_status
from tests.support.engine import engine_id
from tests.support.overviews import (
    container_name,
    endpoint_document,
    listed,
    network_document,
    status_document,
)

_BATCH = 0.02
_IDS = 4
"""Ids of a member that are in no database."""

LIMITS = {
    "send": "100:700",
    "receive": "all",
    "send_rate": 200,
    "send_burst": 20,
    "over_rate": 3,
    "denied": {"send": 17, "receive": 0},
}


STOPPED = {"sent": 12, "received": 345, "dropped": 0}
"""The counters of a member that takes no part any more."""


def host_end(container: str) -> str:
    return f"vxcan{engine_id(container)[:8]}"


@dataclass
class WebHost(Feed):
    """Answers like a host with a bus, or with a second one that has a controller.

    Attributes:
        members: containers on the first bus.
        rate: frames per second on it, evenly from all members.
        troubled: there are problems, limits, a fault, and a second bus with errors.
        status_error: what reading the status fails with.
        frames_error: what reading frames fails with.
        bitrate: of the controller of the first bus; 0 if it is virtual.
    """

    members: int = 3
    rate: float = 300.0
    troubled: bool = False
    bitrate: int = 0
    status_error: CliError | None = None
    frames_error: CliError | None = None
    closed: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.time)

    def read(self) -> list[Overview]:
        if self.status_error is not None:
            raise self.status_error
        seconds = time.time() - self.started
        own = self.rate / max(1, self.members)
        network = self._network("powertrain", self.members, "vcan0", own, seconds)
        networks = [network]
        reasons: list[Any] = []
        warnings: list[Any] = []
        entries = [listed("powertrain", self.members)]
        if self.bitrate:
            network["kind"] = "physical"
            network["controller"] = {"state": "error-active", "bitrate": self.bitrate}
        if self.troubled:
            reasons, warnings = self._trouble(network)
            chassis = self._network("chassis", 2, "can1", 100.0, seconds, first=20)
            chassis |= {
                "kind": "physical",
                "controller": {
                    "state": "error-passive",
                    "bitrate": 500_000,
                    "dbitrate": 2_000_000,
                    "errors": {"tx": 128, "rx": 12},
                },
            }
            networks.append(chassis)
            entries.append(listed("chassis", 2, first=20))
        document = status_document(
            *networks, reasons=reasons, warnings=warnings, now=time.time(), healthy=not reasons
        )
        return [parse_status("evercan:latest", entries, document)]

    def _network(
        self, name: str, members: int, bus: str, own: float, seconds: float, *, first: int = 0
    ) -> dict[str, Any]:
        total = members * own * seconds
        endpoints = [
            endpoint_document(
                container_name(number),
                number,
                frames={
                    "sent": round(own * seconds),
                    "received": round(total - own * seconds),
                    "dropped": 0,
                },
            )
            for number in range(first, first + members)
        ]
        return network_document(name, 0, bus=bus, endpoints=endpoints)

    def _trouble(self, network: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        endpoints = network["endpoints"]
        limited, gone, still = endpoints[0], endpoints[1], endpoints[2]
        limited["access"] = LIMITS
        gone |= {"present": False, "up": False, "frames": STOPPED}
        still |= {"phase": "left", "frames": STOPPED}
        reasons = [
            {
                "kind": "pair-missing",
                "bus": "vcan0",
                "endpoint": gone["endpoint"],
                "text": "the interface pair is missing, and only a restart can create it again",
                "remedy": "restart the container",
            },
        ]
        warnings = [
            {
                "kind": "fault-injected",
                "bus": "vcan0",
                "endpoint": None,
                "text": "a fault is set: frames from dashboard to logger: 10 % are dropped",
                "remedy": "evercan fault clear powertrain",
            },
        ]
        return reasons, warnings

    def lines(self) -> Iterator[str]:
        yield ""
        sent = 0
        begun = time.time()
        while not self.closed.wait(_BATCH):
            if self.frames_error is not None:
                raise self.frames_error
            due = round((time.time() - begun) * self.rate)
            if self.members:
                for number in range(sent, due):
                    yield from self._frame(number, begun + number / self.rate)
            sent = due

    def _frame(self, number: int, stamp: float) -> Iterator[str]:
        """Yield a container's frame at its host end, and its echo at the bus."""
        member = number % self.members
        place = number // self.members % (_IDS + 1)
        text = self._text(member, place, number, stamp)
        at = f"({stamp:.6f})"
        yield f"{at} {host_end(container_name(member))} {text} R"
        yield f"{at} vcan0 {text} R"
        if self.troubled and number % 3 == 0:
            yield f"{at} can1 {0x300 + number % 5:03X}##1{number & 0xFFFF:04X}{'00' * 10} R"
        if self.troubled and number % 200 == 0:
            yield f"{at} can1 20000204#0008000000008000 R"

    @staticmethod
    def _text(member: int, place: int, number: int, stamp: float) -> str:
        if place == _IDS and member == 0:
            speed = round((2000 + 1500 * math.sin(stamp / 3)) * 4)
            gear, throttle = int(stamp / 5) % 3, round(500 + 400 * math.sin(stamp / 2))
            temperature = round(40 + 10 * math.sin(stamp / 20))
            data = speed.to_bytes(2, "little") + bytes([temperature, gear, throttle // 4, 0, 0, 0])
            return f"123#{data.hex().upper()}"
        if place == _IDS and member == 1:
            page = number // 7 % 3
            value = (round(12_000 + 400 * math.sin(stamp)), number & 0x7F, 3 + number % 2)[page]
            return f"200#{(bytes([page]) + value.to_bytes(2, 'little') + bytes(5)).hex().upper()}"
        if place == 0 and member == 2:
            return f"18FEF100#{number & 0xFFFFFFFF:08X}11223344"
        return f"{0x400 + 8 * member + place:03X}#{number & 0xFF:02X}00AA55{number >> 8 & 0xFF:02X}"

    def close(self) -> None:
        self.closed.set()
