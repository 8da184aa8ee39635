"""Whatever happens, in whatever order, the invariants hold afterwards.

Hypothesis acts as the engine, as people who break things, and causes crashes and power
cuts; after every step a check runs, and the invariants are asserted on the kernel and on
the state file.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evercan.errors import EvercanError
from evercan.libnetwork.driver import Driver
from evercan.model.controller import ControllerSettings
from evercan.model.controller_match import differences
from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import Link, Observed
from evercan.model.problems import ProblemKind
from evercan.model.rule import Rule
from evercan.model.rule_table import RuleTable
from evercan.planning.plan import make_plan
from evercan.reconcile.state_format import decode
from tests.support.changes import queue_of
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_healthy, assert_nothing_left_over

_T = TypeVar("_T")

NETWORKS = ("powertrain", "body", "diagnosis")
ENDPOINTS = ("aaaaaaaa1", "bbbbbbbb2", "cccccccc3", "aaaaaaaa4")
CONTROLLER = "can3"
SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {"vxcan.bitrate": "500000"},
    {"vxcan.bitrate": "83000", "vxcan.restart-ms": "100"},
)
BUSES = (("vcan", "0"), ("vcan", "1"), ("can", "0"))

_WITHOUT_RULES = frozenset({ProblemKind.BUS_SETTINGS})

networks, endpoints, buses = map(st.sampled_from, (NETWORKS, ENDPOINTS, BUSES))
numbers = st.integers(0, 1000)


@dataclass(frozen=True)
class Location:
    """Where a container end is while its container runs."""

    nsid: int
    inside: str
    source: str


class Histories(RuleBasedStateMachine):
    """One host with one plugin, from its installation on."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._boots, self._nsids = count(2), count(1)
        self.kernel = FakeKernel()
        self.offered: dict[str, str] = {}
        self.locations: dict[str, Location] = {}
        self.members: set[str] = set()
        self.foreign_links: dict[int, Link] = {}
        self.foreign_rules: Counter[Rule] = Counter()
        self.foreign_controller: Link | None = None
        self.start_plugin()

    # --- the plugin's process ----------------------------------------------

    def start_plugin(self) -> None:
        self.queue = queue_of(self.kernel, Path(self._folder.name))
        self.driver = Driver(self.queue)
        self.run(self.queue.start())

    def stop_plugin(self) -> None:
        steps = len(self.kernel.taken)
        self.run(self.queue.close())
        assert len(self.kernel.taken) == steps, "a stop changes nothing in the kernel"

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)

    def teardown(self) -> None:
        self.stop_plugin()
        self._runner.close()
        self._folder.cleanup()

    @property
    def declared(self) -> Declared:
        return self.queue.state.declared

    def is_rejected(self, work: Awaitable[object]) -> bool:
        """Run one call; a rejection leaves the declared networks as they were."""
        before = self.declared

        async def call() -> EvercanError | None:
            try:
                await work
            except EvercanError as error:
                return error
            return None

        error = self.run(call())
        if error is None:
            return False
        assert str(error)
        assert self.declared.networks == before.networks
        return True

    # --- the engine -------------------------------------------------------------

    @rule(network=networks, bus=buses)
    def create_network(self, network: str, bus: tuple[str, str]) -> None:
        dev, number = bus
        options = {"vxcan.dev": dev, "vxcan.id": number}
        if not self.is_rejected(self.driver.create_network(network, options)):
            assert self.declared.networks[network].bus == dev + number

    @rule(network=networks)
    def delete_network(self, network: str) -> None:
        removed = {endpoint.id for endpoint in self.declared.endpoints_of(network)}
        self.forget(*removed)
        assert not self.is_rejected(self.driver.delete_network(network))
        assert network not in self.declared.networks

    @rule(network=networks, endpoint=endpoints)
    def create_endpoint(self, network: str, endpoint: str) -> None:
        known = endpoint in self.declared.endpoints
        if self.is_rejected(self.driver.create_endpoint(network, endpoint, {})):
            assert (endpoint in self.declared.endpoints) == known
        else:
            assert self.declared.endpoints[endpoint].network == network

    @rule(network=networks, endpoint=endpoints)
    def join(self, network: str, endpoint: str) -> None:
        async def join() -> None:
            self.offered[endpoint] = (await self.driver.join(network, endpoint)).source

        if not self.is_rejected(join()):
            host_end = self.declared.endpoints[endpoint].host_end
            assert self.declared.endpoints[endpoint].is_member
            assert self.kernel.link(host_end).up

    @precondition(lambda self: self.offered)
    @rule(number=numbers)
    def move_an_offered_end_into_its_container(self, number: int) -> None:
        endpoint = sorted(self.offered)[number % len(self.offered)]
        source = self.offered.pop(endpoint)
        link = self.kernel.observe().links.get(source)
        known = self.declared.endpoints.get(endpoint)
        if link is None or not link.is_ours or known is None or not known.is_member:
            return
        location = Location(next(self._nsids), "vcanp0", source)
        self.kernel.move_in(source, location.nsid, location.inside)
        self.locations[endpoint] = location
        self.members.add(endpoint)

    @rule(endpoint=endpoints)
    def leave(self, endpoint: str) -> None:
        self.members.discard(endpoint)
        self.offered.pop(endpoint, None)
        assert not self.is_rejected(self.driver.leave(endpoint))
        known = self.declared.endpoints.get(endpoint)
        assert known is None or not known.is_member

    @precondition(lambda self: set(self.locations) - self.members)
    @rule()
    def move_back_what_left(self) -> None:
        for endpoint in sorted(set(self.locations) - self.members):
            self.move_back(endpoint)

    @precondition(lambda self: self.members)
    @rule(number=numbers)
    def move_back_without_a_call(self, number: int) -> None:
        self.move_back(self.any_member(number))

    @precondition(lambda self: self.locations)
    @rule(number=numbers, observed=st.booleans())
    def a_namespace_ends(self, number: int, observed: bool) -> None:
        endpoint = sorted(self.locations)[number % len(self.locations)]
        nsid = self.locations.pop(endpoint).nsid
        if observed:
            self.kernel.begin_to_end_namespace(nsid)
            assert self.run(self.queue.check()).error is None
            self.run(self.queue.snapshot())
        self.kernel.end_namespace(nsid)
        self.members.discard(endpoint)

    @rule(endpoint=endpoints)
    def delete_endpoint(self, endpoint: str) -> None:
        self.forget(endpoint)
        assert not self.is_rejected(self.driver.delete_endpoint(endpoint))
        assert endpoint not in self.declared.endpoints

    @rule(calls=st.lists(st.tuples(st.sampled_from("CJLD"), networks, endpoints), max_size=8))
    def many_calls_at_once(self, calls: list[tuple[str, str, str]]) -> None:
        async def call(verb: str, network: str, endpoint: str) -> None:
            try:
                if verb == "C":
                    await self.driver.create_endpoint(network, endpoint, {})
                elif verb == "J":
                    self.offered[endpoint] = (await self.driver.join(network, endpoint)).source
                elif verb == "L":
                    await self.driver.leave(endpoint)
                else:
                    await self.driver.delete_endpoint(endpoint)
            except EvercanError as error:
                assert str(error)  # noqa: PT017 - a rejection is fine, and has a text

        async def all_of_them() -> None:
            await asyncio.gather(*(call(*arguments) for arguments in calls))

        for verb, _, endpoint in calls:
            if verb in "LD":
                self.forget(endpoint)
        self.run(all_of_them())

    # --- a controller ---------------------------------------------------------

    @rule(network=networks, settings=st.sampled_from(SETTINGS))
    def create_network_on_a_controller(self, network: str, settings: dict[str, str]) -> None:
        options = {"vxcan.dev": "can", "vxcan.id": "3", "vxcan.kind": "physical", **settings}
        self.is_rejected(self.driver.create_network(network, options))

    @rule()
    def somebody_plugs_it_in(self) -> None:
        self.kernel.plug(CONTROLLER)

    @precondition(lambda self: CONTROLLER in self.kernel.observe().links)
    @rule()
    def somebody_unplugs_it(self) -> None:
        self.kernel.delete(CONTROLLER)
        self.foreign_controller = None

    @precondition(lambda self: CONTROLLER in self.kernel.observe().links)
    @rule()
    def somebody_sets_it_down(self) -> None:
        self.kernel.set_flag(CONTROLLER, up=False)
        self.foreign_controller = None

    @precondition(lambda self: CONTROLLER in self.kernel.observe().links)
    @rule(bitrate=st.sampled_from([125_000, 500_000]), down=st.booleans())
    def somebody_configures_it(self, bitrate: int, down: bool) -> None:
        if down:
            self.kernel.set_flag(CONTROLLER, up=False)
        if self.kernel.configure_controller(CONTROLLER, ControllerSettings(bitrate=bitrate)) == 0:
            link = self.kernel.link(CONTROLLER)
            ours = link.index in self.declared.configured
            self.foreign_controller = None if ours else link

    # --- crashes -------------------------------------------------------------

    @rule()
    def restart_the_plugin(self) -> None:
        self.stop_plugin()
        self.start_plugin()

    @rule()
    def cut_the_power(self) -> None:
        self.stop_plugin()
        self.kernel.reboot(f"boot-{next(self._boots)}")
        self.foreign_links.clear()
        self.foreign_rules.clear()
        self.foreign_controller = None
        self.forget(*ENDPOINTS)
        self.start_plugin()

    # --- people ------------------------------------------------------------------

    @rule()
    def flush_the_rules(self) -> None:
        self.kernel.flush_rules()
        self.foreign_rules.clear()

    @rule(number=numbers)
    def double_a_rule(self, number: int) -> None:
        ours = {link.index for link in self.kernel.observe().links.values() if link.is_ours}
        rules = sorted(self.kernel.observe().rules)
        between_ours = [found for found in rules if {found.source, found.target} <= ours]
        if between_ours:
            doubled = between_ours[number % len(between_ours)]
            self.kernel.add_rule(doubled)
            if not self.has_a_host_end(doubled):
                self.foreign_rules[doubled] += 1

    @rule(
        name=st.sampled_from(["vcan0", "vcan1", "can0", "can5", "vcan5", "eth5"]),
        up=st.booleans(),
    )
    def somebody_creates_an_interface(self, name: str, up: bool) -> None:
        kind = "vcan" if name.startswith("v") else ""
        if self.kernel.make(name, kind, up=up, is_can=name != "eth5") == 0:
            link = self.kernel.link(name)
            self.foreign_links[link.index] = link

    @precondition(lambda self: self.foreign_links)
    @rule(one=numbers, other=numbers, flags=st.sampled_from([0x0, 0x5, 0x8]))
    def somebody_adds_a_rule(self, one: int, other: int, flags: int) -> None:
        can = sorted(link.index for link in self.foreign_links.values() if link.is_can)
        if can:
            ends = can[one % len(can)], can[other % len(can)]
            added = Rule(*ends, flags, 0, b"\x0c\x00\x0b\x00" + bytes(8))
            self.kernel.add_rule(added)
            self.foreign_rules[added] += 1

    @precondition(lambda self: self.foreign_links)
    @rule(number=numbers)
    def somebody_deletes_an_interface_of_their_own(self, number: int) -> None:
        index = sorted(self.foreign_links)[number % len(self.foreign_links)]
        self.kernel.delete(self.foreign_links.pop(index).name)
        self.forget_foreign_rules_of_deleted_interfaces()

    @rule(bus=buses)
    def somebody_deletes_a_bus(self, bus: tuple[str, str]) -> None:
        name = "".join(bus)
        link = self.kernel.observe().links.get(name)
        if link is not None:
            self.foreign_links.pop(link.index, None)
            self.kernel.delete(name)
            self.forget_foreign_rules_of_deleted_interfaces()

    @precondition(lambda self: self.members)
    @rule(number=numbers)
    def somebody_deletes_a_pair(self, number: int) -> None:
        endpoint = self.any_member(number)
        self.kernel.delete(self.declared.endpoints[endpoint].host_end)
        self.forget(endpoint)

    @rule(number=numbers)
    def somebody_sets_an_interface_down(self, number: int) -> None:
        ours = sorted(link.name for link in self.kernel.observe().links.values() if link.is_ours)
        if ours:
            self.kernel.set_flag(ours[number % len(ours)], up=False)

    # --- bookkeeping -------------------------------------------------------------

    def any_member(self, number: int) -> str:
        return sorted(self.members)[number % len(self.members)]

    def forget(self, *removed: str) -> None:
        for endpoint in removed:
            self.members.discard(endpoint)
            self.offered.pop(endpoint, None)
            self.locations.pop(endpoint, None)

    def move_back(self, endpoint: str) -> None:
        location = self.locations.pop(endpoint)
        self.members.discard(endpoint)
        self.kernel.move_out(location.nsid, location.inside, location.source)

    def has_a_host_end(self, found: Rule) -> bool:
        host_ends = {
            link.index for link in self.kernel.observe().links.values() if link.kind == "vxcan"
        }
        return bool(host_ends & {found.source, found.target})

    def forget_foreign_rules_of_deleted_interfaces(self) -> None:
        indexes = {link.index for link in self.kernel.observe().links.values()}
        for foreign in list(self.foreign_rules):
            if not {foreign.source, foreign.target} <= indexes:
                del self.foreign_rules[foreign]

    # --- what must hold ------------------------------------------------------------

    @invariant()
    def the_invariants_hold(self) -> None:
        self.run(self.queue.check())
        observed = self.kernel.observe()
        self.forget_foreign_rules_of_deleted_interfaces()
        self.every_bus_carries_every_frame_once(observed)
        self.a_second_check_changes_nothing(observed)
        self.what_is_not_evercans_is_unchanged(observed)
        self.hardware_is_not_impersonated(observed)
        self.a_controller_is_as_asked_or_configured_by_somebody_else(observed)
        self.the_declared_state_is_on_disk()
        self.no_member_was_lost(observed)
        assert_nothing_left_over(self.declared, observed)

    def every_bus_carries_every_frame_once(self, observed: Observed) -> None:
        foreign = +self.foreign_rules
        # A controller that somebody configured with another bitrate gets no rules on purpose.
        without_rules = {
            problem.bus for problem in self.queue.state.problems if problem.kind in _WITHOUT_RULES
        }
        links = {name: link for name, link in observed.links.items() if name not in without_rules}
        rules = RuleTable.of(Counter(observed.rules) - foreign)
        assert_healthy(self.declared, Observed(links=links, rules=rules))

    def a_second_check_changes_nothing(self, observed: Observed) -> None:
        assert make_plan(self.declared, observed).steps == ()
        steps = len(self.kernel.taken)
        self.run(self.queue.check())
        assert len(self.kernel.taken) == steps

    def what_is_not_evercans_is_unchanged(self, observed: Observed) -> None:
        by_index = {link.index: link for link in observed.links.values()}
        for index, link in self.foreign_links.items():
            found = by_index[index]
            assert (found.name, found.kind, found.up, found.group) == (
                link.name,
                link.kind,
                link.up,
                link.group,
            )
        assert not self.foreign_rules - Counter(observed.rules)

    def hardware_is_not_impersonated(self, observed: Observed) -> None:
        for network in self.declared.networks.values():
            if network.kind is BusKind.PHYSICAL and network.bus in observed.links:
                assert not observed.links[network.bus].is_ours

    def a_controller_is_as_asked_or_configured_by_somebody_else(self, observed: Observed) -> None:
        link = observed.links.get(CONTROLLER)
        assert link is None or link.kind == "can"
        setter = self.declared.network_that_sets(CONTROLLER)
        if self.foreign_controller is not None:
            assert link == self.foreign_controller
        elif link is not None and link.controller is not None and setter is not None:
            assert link.up
            known = self.declared.configured.get(link.index)
            granted = None if known is None else known.made_of(setter.settings)
            assert not differences(setter.settings, link.controller, granted)

    def the_declared_state_is_on_disk(self) -> None:
        path = Path(self._folder.name) / "state.json"
        on_disk = decode(path.read_bytes()) if path.exists() else Declared()
        assert on_disk.networks == self.declared.networks
        assert on_disk.endpoints == self.declared.endpoints
        assert self.declared.retired <= on_disk.retired

    def no_member_was_lost(self, observed: Observed) -> None:
        for endpoint in self.members:
            known = self.declared.endpoints[endpoint]
            assert known.phase is Phase.JOINED
            link = observed.links[known.host_end]
            assert link.is_ours
            assert link.up
            assert link.peer_nsid == self.locations[endpoint].nsid


TestHistories = Histories.TestCase
TestHistories.settings = settings(stateful_step_count=30)
