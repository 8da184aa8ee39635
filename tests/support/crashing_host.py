"""A host whose plugin can be killed at any moment, and whose engine goes on.

The engine's calls, and what it cleans up after a call that got no answer, are those of
``LN/endpoint.go`` and ``LN/sandbox.go`` (see ``tests.support.engine``). The engine repeats
a call after a broken connection with an empty body, which is rejected before it reaches
the driver, so the repetition is left out here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from evercan.kernel.port import Kernel
from evercan.libnetwork.driver import Driver
from evercan.model.names import wire_names
from evercan.model.observed import Link
from evercan.model.problems import ProblemKind
from evercan.model.rule import Rule
from evercan.planning.plan import make_plan
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.state_format import decode
from tests.support.changes import queue_of
from tests.support.engine import engine_id
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_exactly_once
from tests.support.kill_points import KillPoint

_T = TypeVar("_T")

FOREIGN = ("vcan8", "vcan9", "can9")

SLOW_BUS = "slow0"
"""The name of a virtual bus that is created with a bitrate."""

LIMITS = {"vxcan.send": "123,200:700", "vxcan.receive": "400~7FF", "vxcan.send-rate": "100"}
"""The options of an endpoint with limits."""

CONTROLLER = "can3"
"""A CAN controller, which evercan did not create, but configures for a network on it."""


@dataclass(slots=True)
class Attachment:
    """A container's attachment to a network, as the engine knows it."""

    network: str
    endpoint: str
    source: str = ""
    nsid: int = 0
    inside: str = "can0"
    name: str = ""
    limited: bool = False

    @property
    def host_end(self) -> str:
        return self.source.removesuffix("p")

    @property
    def rule_end(self) -> str:
        """The interface that the rules are to refer to."""
        return f"{self.host_end}f" if self.limited else self.host_end

    @property
    def options(self) -> dict[str, str]:
        options = {"vxcan.name": self.name} if self.name else {}
        return {**options, **LIMITS} if self.limited else options

    @property
    def is_inside(self) -> bool:
        return self.nsid > 0


class CrashingHost:
    """One host, whose plugin is killed and started again.

    Attributes:
        networks: the engine's networks: their bus, by network id.
        foreign_rules: rules that somebody else has added, and which stay.
        attachments: the engine's endpoints, by endpoint id.
        lossy: the buses on which all frames may be lost, by what the plugin has answered.
        unconfirmed: networks in the plugin's state that the engine does not have.
    """

    def __init__(
        self, folder: Path, kill_point: KillPoint, kernel: FakeKernel | None = None
    ) -> None:
        self.kernel = FakeKernel() if kernel is None else kernel
        self.kernel.on_message = kill_point.moment
        self.kill_point = kill_point
        self.folder = folder
        self.networks: dict[str, str] = {}
        self.foreign_rules: Counter[Rule] = Counter()
        self.attachments: dict[str, Attachment] = {}
        self.lossy: set[str] = set()
        self.unconfirmed: set[str] = set()
        self._ids = (engine_id(f"id {number}") for number in count())
        self._nsids = count(1)
        self._foreign: dict[str, Link] = {}
        self.make_foreign_interfaces()
        self.start_plugin()

    def make_foreign_interfaces(self) -> None:
        """Make the interfaces that a boot makes, and plug the controller in."""
        for name in FOREIGN:
            self.kernel.make(name, "vcan" if name.startswith("v") else "", up=name != "vcan8")
        self._foreign = {name: self.kernel.link(name) for name in FOREIGN}
        self.kernel.plug(CONTROLLER)

    @property
    def port(self) -> Kernel:
        """The kernel as the plugin sees it."""
        return self.kernel

    # --- the plugin's process ------------------------------------------------------

    def start_plugin(self) -> bool:
        """Start a process; return False if it was killed while it started."""
        self._runner = asyncio.Runner()
        # Nobody reads the results of tasks of a killed process.
        self._runner.get_loop().set_exception_handler(lambda *_: None)
        self.queue: PassQueue = queue_of(self.port, self.folder)
        self.driver = Driver(self.queue)
        return self.call(self.queue.start()) is not None

    def kill_plugin(self) -> None:
        """End the process; everything that was only in memory is lost."""
        self.kill_point.killed = True
        self._runner.run(self._cancel_tasks())
        self._runner.close()
        self.queue._thread.shutdown()
        self.kill_point.disarm()

    @staticmethod
    async def _cancel_tasks() -> None:
        for _ in range(4):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

    def call(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        """Run a call of the plugin; return None if it was killed before it answered."""
        return self._runner.run(self._answer(work))

    async def _answer(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        task = asyncio.ensure_future(work)
        while not task.done() and not self.kill_point.killed:
            await asyncio.wait([task], timeout=0.001)
        if self.kill_point.killed:
            return None
        return (task.result(),)

    # --- the engine's calls ------------------------------------------------------------

    def create_network(self, bus: str, *bridged: str) -> str:
        """Create a network; the engine has it only if the plugin answered."""
        network, digits = next(self._ids), len(bus.rstrip("0123456789"))
        options = {"vxcan.dev": bus[:digits], "vxcan.id": bus[digits:], "vxcan.peer": "can"}
        if bus == CONTROLLER:
            options |= {"vxcan.kind": "physical", "vxcan.bitrate": "83000"}
        if bus == SLOW_BUS:
            options |= {"vxcan.kind": "virtual", "vxcan.bitrate": "125000"}
        if bridged:
            options |= {"vxcan.bridge": ",".join(bridged)}
        if self.call(self.driver.create_network(network, options)):
            self.networks[network] = bus
        return network

    def delete_network(self, network: str) -> None:
        """Delete a network; the engine forgets it whatever the answer is."""
        del self.networks[network]
        self.call(self.driver.delete_network(network))

    def create_endpoint(self, network: str, name: str = "", *, limited: bool = False) -> str:
        endpoint = next(self._ids)
        attachment = Attachment(network, endpoint, name=name, limited=limited)
        if self.call(self.driver.create_endpoint(network, endpoint, attachment.options)):
            self.attachments[endpoint] = attachment
        return endpoint

    def join(self, endpoint: str) -> None:
        attachment = self.attachments[endpoint]
        answer = self.call(self.driver.join(attachment.network, endpoint))
        if answer:
            attachment.source = answer[0].source

    def move_inside(self, endpoint: str) -> None:
        """Move the interface that Join has named into the container."""
        attachment = self.attachments[endpoint]
        attachment.nsid = next(self._nsids)
        self.kernel.move_in(attachment.source, attachment.nsid, attachment.inside)

    def start(self, network: str, *, limited: bool = False) -> str:
        endpoint = self.create_endpoint(network, limited=limited)
        self.join(endpoint)
        self.move_inside(endpoint)
        return endpoint

    def set_fault(self, network: str, **more: str) -> None:
        """Set a fault of all frames on the bus of a network."""
        fields = {"NetworkID": network, "Loss": "50%", **more}
        if self.call(self.driver.set_fault(fields)):
            self.lossy.add(self.networks[network])

    def clear_faults(self) -> None:
        """Clear all faults, as ``evercan fault clear`` does."""
        self.lossy.clear()  # cleared or not, if there is no answer
        self.call(self.driver.clear_faults({}))

    def leave(self, endpoint: str) -> None:
        self.call(self.driver.leave(endpoint))

    def move_back(self, endpoint: str) -> None:
        """Move the container's end back to the host, if the container still has one."""
        attachment = self.attachments[endpoint]
        if attachment.inside in self.kernel.inside(attachment.nsid):
            self.kernel.move_out(attachment.nsid, attachment.inside, attachment.source)
        attachment.nsid = 0

    def delete_endpoint(self, endpoint: str) -> None:
        """Delete an endpoint; the engine forgets it whatever the answer is."""
        self.attachments.pop(endpoint, None)
        self.call(self.driver.delete_endpoint(endpoint))

    def stop(self, endpoint: str) -> None:
        attachment = self.attachments[endpoint]
        self.leave(endpoint)
        if attachment.is_inside:
            self.move_back(endpoint)
            self.kernel.end_namespace(attachment.nsid)
        self.delete_endpoint(endpoint)

    # --- verification ----------------------------------------------------------------

    def verify(self) -> None:
        """Verify that the kernel has everything that the engine has, and nothing else."""
        assert self.call(self.queue.check())
        observed, state = self.kernel.observe(), self.queue.state
        self.unconfirmed = set(state.declared.networks) - set(self.networks)
        assert set(self.networks) <= set(state.declared.networks), "a network was lost"
        kinds = {problem.kind for problem in state.problems}
        assert kinds <= {ProblemKind.PAIR_MISSING}, state.problems
        for bus in set(self.networks.values()):
            bridged = {
                name
                for network in (*self.networks, *self.unconfirmed)
                if state.declared.networks[network].bus == bus
                for name in state.declared.networks[network].bridge
            }
            assert_exactly_once(observed, bus, *self._members_of(bus), bridged=bridged)
        for attachment in self.attachments.values():
            inside = self.kernel.inside(attachment.nsid) if attachment.is_inside else {}
            intact = attachment.is_inside and attachment.endpoint not in self.degraded
            expected = {attachment.inside} if intact else set()
            assert set(inside) == expected, "a container has interfaces of others"
            assert all(link.up for link in inside.values())
            named = {attachment.name} - {""}
            assert all(link.altnames == named for link in inside.values()), "a name was lost"
        self._verify_faults()
        self._verify_nothing_is_left()
        self.verify_foreign_interfaces()
        self._verify_second_pass_changes_nothing()

    @property
    def degraded(self) -> set[str]:
        """Endpoints that evercan reports as broken."""
        return {problem.endpoint for problem in self.queue.state.problems if problem.endpoint}

    def _members_of(self, bus: str) -> list[str]:
        return [
            attachment.rule_end
            for attachment in self.attachments.values()
            if attachment.source
            and self.networks[attachment.network] == bus
            # A filter interface stays a member without its pair; the filters then drop all.
            and (attachment.limited or attachment.endpoint not in self.degraded)
        ]

    def _verify_faults(self) -> None:
        """Verify that each receiver on a bus with a fault has a queue, and nobody else."""
        declared = self.queue.state.declared
        lossy = {declared.networks[fault.network].bus for fault in declared.faults}
        assert self.lossy & {*self.networks.values()} <= lossy, "a fault was lost"
        expected = {
            attachment.host_end
            for attachment in self.attachments.values()
            if attachment.source
            and self.networks[attachment.network] in lossy
            and attachment.endpoint not in self.degraded
        }
        observed = self.kernel.observe()
        names = {link.index: link.name for link in observed.links.values()}
        queues = {names[index] for index in observed.fault_queues}
        assert queues == expected | (lossy & observed.links.keys())

    def _verify_nothing_is_left(self) -> None:
        declared = self.queue.state.declared
        wanted = {*self.networks.values()}
        wanted |= {declared.networks[network].bus for network in self.unconfirmed}
        wanted |= {*wire_names(SLOW_BUS)} if SLOW_BUS in wanted else set()
        for attachment in self.attachments:
            endpoint = declared.endpoints.get(attachment)
            if endpoint is not None:
                wanted |= {endpoint.host_end, endpoint.container_end}
                wanted |= (
                    {f"{endpoint.host_end}f"} if self.attachments[attachment].limited else set()
                )
        ours = {name for name, link in self.kernel.observe().links.items() if link.is_ours}
        assert ours <= wanted, f"left behind: {sorted(ours - wanted)}"

    def verify_foreign_interfaces(self) -> None:
        """Verify that interfaces that evercan did not create are unchanged."""
        links = self.kernel.observe().links
        assert {name: links.get(name) for name in self._foreign} == self._foreign

    def _verify_second_pass_changes_nothing(self) -> None:
        assert make_plan(self.queue.state.declared, self.kernel.observe()).steps == ()
        steps = len(self.kernel.taken)
        assert self.call(self.queue.check())
        assert len(self.kernel.taken) == steps
        on_disk = decode((self.folder / "state.json").read_bytes())
        assert on_disk.networks == self.queue.state.declared.networks
        assert on_disk.endpoints == self.queue.state.declared.endpoints

    def remove_all(self) -> None:
        """Remove what the engine has, and as an operator what only evercan still has."""
        for endpoint in list(self.attachments):
            self.stop(endpoint)
        for network in list(self.networks):
            self.delete_network(network)
        for network in self.unconfirmed:
            self.call(self.driver.delete_network(network))
        assert set(self.kernel.observe().links) == {*FOREIGN, CONTROLLER}
        assert not self.kernel.observe().fault_queues
        links = {link.index for link in self.kernel.observe().links.values()}
        assert self.kernel.observe().rules == Counter(
            {
                rule: times
                for rule, times in self.foreign_rules.items()
                if {rule.source, rule.target} <= links
            }
        )
        self.verify_foreign_interfaces()
        assert not self.queue.state.declared.networks
