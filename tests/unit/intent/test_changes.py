"""How the engine's calls change the declared state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from evercan.errors import OptionError, RequestError, UnknownNetwork
from evercan.intent.changes import CreateNetwork
from evercan.intent.endpoint_changes import CreateEndpoint, Join, Leave
from evercan.intent.observation import after_start
from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.options.endpoint import EndpointOptions
from evercan.options.network import NetworkOptions
from tests.support.declarations import declare, endpoint, network
from tests.support.strategies import declared_states

EMPTY = Observed()


def seeing(*links: Link) -> Observed:
    return Observed(links={link.name: link for link in links})


def phases(declared: Declared) -> dict[str, Phase]:
    return {endpoint.id: endpoint.phase for endpoint in declared.endpoints.values()}


# --- networks ---------------------------------------------------------------------


def created(observed: Observed, declared: Declared | None = None, bus: str = "can0") -> Declared:
    return CreateNetwork("net", NetworkOptions(bus=bus)).apply(declared or Declared(), observed)


def test_a_missing_bus_is_created_and_owned_by_evercan() -> None:
    made = created(EMPTY).networks["net"]
    assert (made.kind, made.owns_bus) == (BusKind.VIRTUAL, True)


def test_a_vcan_that_exists_is_not_owned() -> None:
    found = created(seeing(Link(index=5, name="can0", kind="vcan"))).networks["net"]
    assert (found.kind, found.owns_bus) == (BusKind.VIRTUAL, False)


@pytest.mark.parametrize("kind", ["", "can", "slcan"])
def test_a_controller_is_physical_and_not_owned(kind: str) -> None:
    found = created(seeing(Link(index=5, name="can0", kind=kind))).networks["net"]
    assert (found.kind, found.owns_bus) == (BusKind.PHYSICAL, False)


def test_a_bus_that_another_network_owns_is_owned_by_both() -> None:
    declared = declare([network("other", "can0")])
    ours = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    assert created(seeing(ours), declared).networks["net"].owns_bus


def test_a_retired_bus_is_kept_and_owned_again() -> None:
    declared = declare(retired=["can0"])
    ours = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    changed = created(seeing(ours), declared)
    assert changed.networks["net"].owns_bus
    assert not changed.retired


def test_a_tagged_bus_that_no_network_owns_is_not_owned() -> None:
    tagged = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    assert not created(seeing(tagged)).networks["net"].owns_bus


def test_an_interface_that_is_not_can_is_rejected_as_a_bus() -> None:
    with pytest.raises(OptionError, match=r"no CAN interface.*choose another"):
        created(seeing(Link(index=5, name="can0", is_can=False)))


@pytest.mark.parametrize("end", ["vxcanaa", "vxcanaap"])
def test_an_end_of_a_pair_is_rejected_as_a_bus(end: str) -> None:
    declared = declare([network()], [endpoint("aa")])
    link = Link(index=5, name=end, kind="vxcan", group=LINK_GROUP)
    with pytest.raises(OptionError, match="a container's CAN interface"):
        CreateNetwork("other", NetworkOptions(bus=end)).apply(declared, seeing(link))


def test_a_known_network_is_rejected_with_other_options() -> None:
    declared = created(EMPTY)
    with pytest.raises(RequestError, match=r"exists with bus can0.*not can1"):
        created(EMPTY, declared, bus="can1")


def test_removing_a_network_retires_its_pairs_and_its_bus() -> None:
    declared = declare([network()], [endpoint("aa")])
    assert declared.without_network("net").retired == {"vcan0", "vxcanaa"}


def test_removing_a_network_keeps_a_bus_that_another_uses_or_that_is_not_owned() -> None:
    shared = declare([network("one"), network("two")])
    assert shared.without_network("one").retired == frozenset()
    foreign = declare([network(owns_bus=False)])
    assert foreign.without_network("net").retired == frozenset()


# --- endpoints ---------------------------------------------------------------------


def test_an_endpoint_gets_names_that_are_unused_on_the_host_and_in_the_state() -> None:
    host_end = "vxcan0123abcd"
    for observed, declared in (
        (seeing(Link(index=5, name=host_end)), declare([network()])),
        (seeing(Link(index=5, name="x", altnames=frozenset({host_end}))), declare([network()])),
        (EMPTY, declare([network()], retired=[host_end])),
        (EMPTY, declare([network("net", host_end)])),
        (EMPTY, declare([network()], [endpoint("0123abcd")])),
    ):
        changed = CreateEndpoint("net", "0123abcd" + "0" * 56, EndpointOptions()).apply(
            declared, observed
        )
        assert changed.endpoints["0123abcd" + "0" * 56].host_end != host_end


def test_an_endpoint_of_an_unknown_network_is_rejected() -> None:
    with pytest.raises(UnknownNetwork):
        CreateEndpoint("net", "aa", EndpointOptions()).apply(Declared(), EMPTY)
    with pytest.raises(UnknownNetwork):
        Join("net", "aa").apply(Declared(), EMPTY)


@pytest.mark.parametrize("phase", Phase)
def test_an_endpoint_in_any_phase_becomes_a_member_when_it_joins(phase: Phase) -> None:
    declared = declare([network()], [endpoint("aa", phase=phase)])
    assert Join("net", "aa").apply(declared, EMPTY).endpoints["aa"].is_member


@pytest.mark.parametrize("phase", Phase)
def test_leaving_changes_only_members(phase: Phase) -> None:
    declared = declare([network()], [endpoint("aa", phase=phase)])
    left = Leave("aa").apply(declared, EMPTY)
    if phase in (Phase.OFFERED, Phase.JOINED):
        assert phases(left) == {"aa": Phase.LEFT}
    else:
        assert left == declared


@given(declared_states())
def test_every_change_applied_twice_is_the_same_as_once(declared: Declared) -> None:
    changes: list[Callable[[Declared], Declared]] = [
        lambda d: Leave("aa").apply(d, Observed()),
        lambda d: d.without_endpoint("aa"),
        lambda d: d.without_network("net0"),
        lambda d: after_start(d, d.boot) if Phase.DORMANT not in phases(d).values() else d,
    ]
    if "net0" in declared.networks:
        changes.append(lambda d: CreateEndpoint("net0", "new", EndpointOptions()).apply(d, EMPTY))
        changes.append(lambda d: Join("net0", "new").apply(d, EMPTY))
    for change in changes:
        once = change(declared)
        assert change(once) == once


@given(declared_states())
def test_no_change_wants_and_retires_the_same_interface(declared: Declared) -> None:
    for changed in (
        Leave("aa").apply(declared, Observed()),
        declared.without_endpoint("aa"),
        declared.without_network("net0"),
        after_start(declared, "another boot"),
        after_start(declared, declared.boot),
    ):
        wanted = {network.bus for network in changed.networks.values()} | {
            endpoint.host_end
            for endpoint in changed.endpoints.values()
            if endpoint.phase is not Phase.DORMANT
        }
        assert not wanted & changed.retired
