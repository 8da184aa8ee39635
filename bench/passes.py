"""How long the event loop is held up while a turn decodes and plans a hundred members' rules.

The kernel thread does, again and again, what a turn does without the kernel: decode a dump
of the whole table, plan, and decode again. The loop meanwhile wakes every 2 ms and sees how
late it is.
"""

from __future__ import annotations

import asyncio
import struct
import time

import uvloop

from evercan.daemon import SWITCH_INTERVAL, yield_often
from evercan.kernel import can_gw
from evercan.kernel.netlink import HEADER
from evercan.model import LINK_GROUP, Declared, Endpoint, Link, Network, Observed, Phase
from evercan.plan import FD, make_plan, mesh
from evercan.turns import unswept

__all__ = ["SWITCH_INTERVAL", "lateness", "turn_seconds"]

_BUS = "vcan0"


def _declared(members: int) -> tuple[Declared, dict[str, Link]]:
    network = Network(id="n" * 64, bus=_BUS, owns_bus=True)
    links = {_BUS: Link(index=1, name=_BUS, kind="vcan", up=True, group=LINK_GROUP)}
    endpoints = {}
    for number in range(members):
        each = Endpoint(
            id=f"{number:064x}", network=network.id, host_end=f"vx{number:08x}",
            container_end=f"vx{number:08x}p", peer_prefix="can", phase=Phase.OFFERED,
        )  # fmt: skip
        endpoints[each.id] = each
        links[each.host_end] = Link(
            index=10 + number, name=each.host_end, kind="vxcan", up=True, group=LINK_GROUP
        )
    declared = Declared(boot="b", networks={network.id: network}, endpoints=endpoints)
    return declared, links


def _dump(members: int) -> list[bytes]:
    """Write the kernel's dump of a bus on which every second member has sent classic frames."""
    framed = []
    for rule in mesh(1, range(10, 10 + members)):
        payload = can_gw.add(rule).payload
        if rule.source % 2 and not rule.flags & FD:
            handled = struct.pack("=HHI", 8, can_gw.HANDLED, 12345)
            payload = payload[:4] + handled + payload[4:]
        framed.append(HEADER.pack(16 + len(payload), can_gw.RTM_NEWROUTE, 0, 1, 0) + payload)
    # The kernel fills 32 KiB at a time (netlink_dump).
    each = (32 << 10) // len(framed[0])
    return [b"".join(framed[at : at + each]) for at in range(0, len(framed), each)]


class Work:
    """A turn's work for some members, all of it in order."""

    def __init__(self, members: int) -> None:
        self._declared, self._links = _declared(members)
        self._chunks = _dump(members)
        self.rules = 2 * members * (members + 1)

    def turn(self) -> None:
        """Look and plan, as a turn does that finds nothing to do."""
        with unswept():
            self._look_and_plan()

    def _look_and_plan(self) -> None:
        rules = can_gw.decode_rules(self._chunks)
        plan = make_plan(self._declared, Observed(links=self._links, rules=rules))
        if plan.steps:
            raise SystemExit(f"a whole bus needs {plan.steps[0]}")


def turn_seconds(members: int, times: int) -> list[float]:
    """Return the processor's seconds of some turns."""
    work = Work(members)
    seen = []
    for _ in range(times):
        begun = time.thread_time()
        work.turn()
        seen.append(time.thread_time() - begun)
    return seen


def lateness(members: int, seconds: float, *, turning: bool = True) -> list[float]:
    """Return how late the loop was, in seconds, each time that it woke."""
    work = Work(members)
    yield_often()

    async def watch() -> list[float]:
        loop = asyncio.get_running_loop()
        over = False

        def turns() -> None:
            while turning and not over:
                work.turn()

        done = loop.run_in_executor(None, turns)
        seen = []
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            await asyncio.sleep(0.002)
            seen.append(time.perf_counter() - now - 0.002)
        over = True
        await done
        return seen

    return uvloop.run(watch())
