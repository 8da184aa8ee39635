"""A host whose plugin can be killed at any moment, and the engine that outlives it.

The engine's order and its clean-up after a call that broke off are those of
``LN/endpoint.go`` and ``LN/sandbox.go`` (see ``tests.support.engine``): what it
says again after a broken connection has an empty body and is refused before it
reaches the driver, so here it is not said at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from evercan.libnetwork.driver import Driver
from evercan.model.problems import ProblemKind
from evercan.planning.plan import make_plan
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.state_file import decode
from tests.support.changes import queue_of
from tests.support.engine import engine_id
from tests.support.fake_kernel import FakeKernel
from tests.support.fuse import Fuse
from tests.support.invariants import assert_exactly_once

_T = TypeVar("_T")

FOREIGN = ("vcan8", "vcan9", "can9")

CONTROLLER = "can3"
"""A CAN controller: never evercan's, but evercan's to set up for a network on it."""


@dataclass(slots=True)
class Place:
    """A container's place on a network, as the engine knows it."""

    network: str
    endpoint: str
    source: str = ""
    nsid: int = 0
    inside: str = "can0"
    name: str = ""

    @property
    def host_end(self) -> str:
        return self.source.removesuffix("p")

    @property
    def is_taken(self) -> bool:
        return self.nsid > 0


class Host:
    """One host through the lives of its plugin.

    Attributes:
        networks: what the engine has: bus by network id.
        places: what the engine has: by endpoint id.
        in_doubt: networks on record that the engine has not.
    """

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        self.kernel = FakeKernel()
        self.kernel.on_message = fuse.moment
        self.fuse = fuse
        self.folder = folder
        self.networks: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        self.in_doubt: set[str] = set()
        self._ids = (engine_id(f"id {number}") for number in count())
        self._nsids = count(1)
        for name in FOREIGN:
            self.kernel.make(name, "vcan" if name.startswith("v") else "", up=name != "vcan8")
        self._foreign = {name: self.kernel.link(name) for name in FOREIGN}
        self.kernel.plug(CONTROLLER)
        self.begin()

    # --- the plugin's lives --------------------------------------------------------

    def begin(self) -> bool:
        """Start a process; False if it died of it."""
        self._runner = asyncio.Runner()
        # Tasks of the dead are never asked how they ended.
        self._runner.get_loop().set_exception_handler(lambda *_: None)
        self.queue: PassQueue = queue_of(self.kernel, self.folder)
        self.driver = Driver(self.queue)
        return self.call(self.queue.start()) is not None

    def die(self) -> None:
        """Be gone, with all that was only in memory."""
        self.fuse.burnt = True
        self._runner.run(self._abandon())
        self._runner.close()
        self.queue._thread.shutdown()
        self.fuse.put_out()

    @staticmethod
    async def _abandon() -> None:
        for _ in range(4):
            for each in asyncio.all_tasks() - {asyncio.current_task()}:
                each.cancel()
            await asyncio.sleep(0)

    def call(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        """Let the plugin do something; None if it died before it had answered."""
        return self._runner.run(self._answer(work))

    async def _answer(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        task = asyncio.ensure_future(work)
        while not task.done() and not self.fuse.burnt:
            await asyncio.wait([task], timeout=0.001)
        if self.fuse.burnt:
            return None
        return (task.result(),)

    # --- the engine's calls ------------------------------------------------------------

    def create_network(self, bus: str) -> str:
        """Create a network; the engine has it only if it was answered."""
        network, digits = next(self._ids), len(bus.rstrip("0123456789"))
        options = {"vxcan.dev": bus[:digits], "vxcan.id": bus[digits:], "vxcan.peer": "can"}
        if bus == CONTROLLER:
            options |= {"vxcan.kind": "physical", "vxcan.bitrate": "83000"}
        if self.call(self.driver.create_network(network, options)):
            self.networks[network] = bus
        return network

    def delete_network(self, network: str) -> None:
        """Delete a network; the engine forgets it whatever comes back."""
        del self.networks[network]
        self.call(self.driver.delete_network(network))

    def create_endpoint(self, network: str, name: str = "") -> str:
        endpoint = next(self._ids)
        options = {"vxcan.name": name} if name else {}
        if self.call(self.driver.create_endpoint(network, endpoint, options)):
            self.places[endpoint] = Place(network, endpoint, name=name)
        return endpoint

    def join(self, endpoint: str) -> None:
        place = self.places[endpoint]
        answer = self.call(self.driver.join(place.network, endpoint))
        if answer:
            place.source = answer[0].source

    def take(self, endpoint: str) -> None:
        """Move what was offered into the container."""
        place = self.places[endpoint]
        place.nsid = next(self._nsids)
        self.kernel.take(place.source, place.nsid, place.inside)

    def start(self, network: str) -> str:
        endpoint = self.create_endpoint(network)
        self.join(endpoint)
        self.take(endpoint)
        return endpoint

    def leave(self, endpoint: str) -> None:
        self.call(self.driver.leave(endpoint))

    def hand_back(self, endpoint: str) -> None:
        """Move the container's end back to the host, if the container still has one."""
        place = self.places[endpoint]
        if place.inside in self.kernel.inside(place.nsid):
            self.kernel.give_back(place.nsid, place.inside, place.source)
        place.nsid = 0

    def delete_endpoint(self, endpoint: str) -> None:
        """Delete an endpoint; the engine forgets it whatever comes back."""
        self.places.pop(endpoint, None)
        self.call(self.driver.delete_endpoint(endpoint))

    def stop(self, endpoint: str) -> None:
        place = self.places[endpoint]
        self.leave(endpoint)
        if place.is_taken:
            self.hand_back(endpoint)
            self.kernel.end_sandbox(place.nsid)
        self.delete_endpoint(endpoint)

    # --- the judge -------------------------------------------------------------------

    def judge(self) -> None:
        """Hold the promises against the kernel, in what the engine has and nothing else."""
        assert self.call(self.queue.check())
        observed, state = self.kernel.observe(), self.queue.state
        self.in_doubt = set(state.declared.networks) - set(self.networks)
        assert set(self.networks) <= set(state.declared.networks), "a network was lost"
        assert all(each.kind is ProblemKind.PAIR_MISSING for each in state.problems), state.problems
        for bus in set(self.networks.values()):
            assert_exactly_once(observed, bus, *self._members_of(bus))
        for place in self.places.values():
            inside = self.kernel.inside(place.nsid) if place.is_taken else {}
            whole = place.is_taken and place.endpoint not in self.degraded
            assert set(inside) == ({place.inside} if whole else set()), "a sandbox has others' ends"
            assert all(each.up for each in inside.values())
            named = {place.name} - {""}
            assert all(each.altnames == named for each in inside.values()), "a name was lost"
        self._nothing_is_left()
        self.nothing_foreign_is_touched()
        self._a_second_look_changes_nothing()

    @property
    def degraded(self) -> set[str]:
        """Endpoints that evercan says it cannot mend."""
        return {each.endpoint for each in self.queue.state.problems if each.endpoint}

    def _members_of(self, bus: str) -> list[str]:
        return [
            each.host_end
            for each in self.places.values()
            if each.source
            and self.networks[each.network] == bus
            and each.endpoint not in self.degraded
        ]

    def _nothing_is_left(self) -> None:
        declared = self.queue.state.declared
        wanted = {*self.networks.values()}
        wanted |= {declared.networks[each].bus for each in self.in_doubt}
        for each in self.places:
            on_record = declared.endpoints.get(each)
            if on_record is not None:
                wanted |= {on_record.host_end, on_record.container_end}
        ours = {name for name, link in self.kernel.observe().links.items() if link.is_ours}
        assert ours <= wanted, f"left behind: {sorted(ours - wanted)}"

    def nothing_foreign_is_touched(self) -> None:
        links = self.kernel.observe().links
        assert {name: links.get(name) for name in self._foreign} == self._foreign

    def _a_second_look_changes_nothing(self) -> None:
        assert make_plan(self.queue.state.declared, self.kernel.observe()).steps == ()
        steps = len(self.kernel.taken)
        assert self.call(self.queue.check())
        assert len(self.kernel.taken) == steps
        on_disk = decode((self.folder / "state.json").read_bytes())
        assert on_disk.networks == self.queue.state.declared.networks
        assert on_disk.endpoints == self.queue.state.declared.endpoints

    def remove_all(self) -> None:
        """Let the engine remove all that it has, and an operator what only evercan has."""
        for endpoint in list(self.places):
            self.stop(endpoint)
        for network in list(self.networks):
            self.delete_network(network)
        for network in self.in_doubt:
            self.call(self.driver.delete_network(network))
        assert set(self.kernel.observe().links) == {*FOREIGN, CONTROLLER}
        assert not self.kernel.observe().rules
        self.nothing_foreign_is_touched()
        assert not self.queue.state.declared.networks
