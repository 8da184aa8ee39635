"""How the record changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given

from evercan.errors import OptionError, RequestError, UnknownNetwork
from evercan.intent.changes import CreateEndpoint, CreateNetwork, Join, Leave
from evercan.intent.observation import after_observation, after_start
from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.model.steps import DeleteLink, MakePair
from evercan.options.endpoint import EndpointOptions
from evercan.options.network import NetworkOptions
from evercan.planning.plan import make_plan
from tests.support.fake_kernel import FakeKernel
from tests.support.records import endpoint, network, physical, record
from tests.support.worlds import World, records, worlds

EMPTY = Observed()


def seeing(*links: Link) -> Observed:
    return Observed(links={each.name: each for each in links})


def phases(declared: Declared) -> dict[str, Phase]:
    return {each.id: each.phase for each in declared.endpoints.values()}


# --- networks ---------------------------------------------------------------------


def created(observed: Observed, declared: Declared | None = None, bus: str = "can0") -> Declared:
    return CreateNetwork("net", NetworkOptions(bus=bus)).apply(declared or Declared(), observed)


def test_a_bus_that_is_not_there_will_be_made_and_is_ours() -> None:
    made = created(EMPTY).networks["net"]
    assert (made.kind, made.owns_bus) == (BusKind.VIRTUAL, True)


def test_a_vcan_that_is_there_is_not_ours() -> None:
    found = created(seeing(Link(index=5, name="can0", kind="vcan"))).networks["net"]
    assert (found.kind, found.owns_bus) == (BusKind.VIRTUAL, False)


@pytest.mark.parametrize("kind", ["", "can", "slcan"])
def test_a_controller_is_physical_and_not_ours(kind: str) -> None:
    found = created(seeing(Link(index=5, name="can0", kind=kind))).networks["net"]
    assert (found.kind, found.owns_bus) == (BusKind.PHYSICAL, False)


def test_a_bus_of_another_network_of_ours_stays_ours() -> None:
    declared = record([network("other", "can0")])
    ours = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    assert created(seeing(ours), declared).networks["net"].owns_bus


def test_a_bus_that_was_about_to_be_removed_is_kept_and_ours() -> None:
    declared = record(retired=["can0"])
    ours = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    changed = created(seeing(ours), declared)
    assert changed.networks["net"].owns_bus
    assert not changed.retired


def test_a_tagged_bus_that_is_not_on_record_is_not_ours() -> None:
    tagged = Link(index=5, name="can0", kind="vcan", group=LINK_GROUP)
    assert not created(seeing(tagged)).networks["net"].owns_bus


def test_an_interface_that_is_no_can_bus_is_refused() -> None:
    with pytest.raises(OptionError, match=r"no CAN interface.*choose another"):
        created(seeing(Link(index=5, name="can0", is_can=False)))


@pytest.mark.parametrize("end", ["vxcanaa", "vxcanaap"])
def test_a_containers_end_is_refused_as_a_bus(end: str) -> None:
    declared = record([network()], [endpoint("aa")])
    link = Link(index=5, name=end, kind="vxcan", group=LINK_GROUP)
    with pytest.raises(OptionError, match="a container's CAN interface"):
        CreateNetwork("other", NetworkOptions(bus=end)).apply(declared, seeing(link))


def test_a_network_on_record_is_refused_with_other_options() -> None:
    declared = created(EMPTY)
    with pytest.raises(RequestError, match=r"exists with bus can0.*not can1"):
        created(EMPTY, declared, bus="can1")


def test_forgetting_a_network_retires_its_pairs_and_its_bus() -> None:
    declared = record([network()], [endpoint("aa")])
    assert declared.without_network("net").retired == {"vcan0", "vxcanaa"}


def test_forgetting_a_network_keeps_a_bus_that_another_uses_or_that_is_not_ours() -> None:
    shared = record([network("one"), network("two")])
    assert shared.without_network("one").retired == frozenset()
    foreign = record([network(owns_bus=False)])
    assert foreign.without_network("net").retired == frozenset()


# --- endpoints ---------------------------------------------------------------------


def test_an_endpoint_gets_names_that_nobody_on_host_or_record_has() -> None:
    host_end = "vxcan0123abcd"
    for observed, declared in (
        (seeing(Link(index=5, name=host_end)), record([network()])),
        (seeing(Link(index=5, name="x", altnames=frozenset({host_end}))), record([network()])),
        (EMPTY, record([network()], retired=[host_end])),
        (EMPTY, record([network("net", host_end)])),
        (EMPTY, record([network()], [endpoint("0123abcd")])),
    ):
        changed = CreateEndpoint("net", "0123abcd" + "0" * 56, EndpointOptions()).apply(
            declared, observed
        )
        assert changed.endpoints["0123abcd" + "0" * 56].host_end != host_end


def test_an_endpoint_of_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNetwork):
        CreateEndpoint("net", "aa", EndpointOptions()).apply(Declared(), EMPTY)
    with pytest.raises(UnknownNetwork):
        Join("net", "aa").apply(Declared(), EMPTY)


@pytest.mark.parametrize("phase", Phase)
def test_joining_makes_a_member_of_an_endpoint_in_any_phase(phase: Phase) -> None:
    declared = record([network()], [endpoint("aa", phase=phase)])
    assert Join("net", "aa").apply(declared, EMPTY).endpoints["aa"].is_member


@pytest.mark.parametrize("phase", Phase)
def test_leaving_ends_a_membership_and_nothing_else(phase: Phase) -> None:
    declared = record([network()], [endpoint("aa", phase=phase)])
    left = Leave("aa").apply(declared, EMPTY)
    if phase in (Phase.OFFERED, Phase.JOINED):
        assert phases(left) == {"aa": Phase.LEFT}
    else:
        assert left == declared


@given(records())
def test_every_edit_done_twice_is_the_same_as_once(declared: Declared) -> None:
    edits: list[Callable[[Declared], Declared]] = [
        lambda d: Leave("aa").apply(d, Observed()),
        lambda d: d.without_endpoint("aa"),
        lambda d: d.without_network("net0"),
        lambda d: after_start(d, d.boot) if Phase.DORMANT not in phases(d).values() else d,
    ]
    if "net0" in declared.networks:
        edits.append(lambda d: CreateEndpoint("net0", "new", EndpointOptions()).apply(d, EMPTY))
        edits.append(lambda d: Join("net0", "new").apply(d, EMPTY))
    for edit in edits:
        once = edit(declared)
        assert edit(once) == once


@given(records())
def test_no_edit_wants_and_retires_the_same_interface(declared: Declared) -> None:
    for changed in (
        Leave("aa").apply(declared, Observed()),
        declared.without_endpoint("aa"),
        declared.without_network("net0"),
        after_start(declared, "another boot"),
        after_start(declared, declared.boot),
    ):
        wanted = {each.bus for each in changed.networks.values()} | {
            each.host_end for each in changed.endpoints.values() if each.phase is not Phase.DORMANT
        }
        assert not wanted & changed.retired


# --- a new process, and what the kernel shows -----------------------------------------


def test_after_a_reboot_everybody_sleeps() -> None:
    declared = record(
        [network()], [endpoint(each.value, phase=each) for each in Phase], boot="boot-1"
    )
    awake = after_start(declared, "boot-2")
    assert awake.boot == "boot-2"
    assert set(phases(awake).values()) == {Phase.DORMANT}
    assert "dormant" not in awake.endpoints
    assert awake.networks == declared.networks


def test_after_a_restart_members_stay_members() -> None:
    declared = record([network()], [endpoint(each.value, phase=each) for each in Phase])
    assert phases(after_start(declared, "boot-1")) == {
        "created": Phase.DORMANT,
        "offered": Phase.OFFERED,
        "joined": Phase.JOINED,
        "left": Phase.LEFT,
    }


def test_a_pair_that_was_offered_and_is_in_a_sandbox_was_taken() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    declared = record([network()], [endpoint("aa", phase=Phase.OFFERED)])
    assert phases(after_observation(declared, kernel.observe())) == {"aa": Phase.OFFERED}
    kernel.take("vxcanaap", 1)
    assert phases(after_observation(declared, kernel.observe())) == {"aa": Phase.JOINED}


def test_a_joined_pair_that_is_back_on_the_host_was_handed_back() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    declared = record([network()], [endpoint("aa", phase=Phase.JOINED)])
    settled = after_observation(declared, kernel.observe())
    assert phases(settled) == {"aa": Phase.DORMANT}
    assert settled.retired == {"vxcanaa"}


def test_a_pair_that_left_is_wanted_until_it_was_handed_back() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    kernel.take("vxcanaap", 1)
    declared = record([network()], [endpoint("aa", phase=Phase.LEFT)])
    assert after_observation(declared, kernel.observe()) == declared
    kernel.give_back(1, "vcanp0", "vxcanaap")
    settled = after_observation(declared, kernel.observe())
    assert phases(settled) == {"aa": Phase.DORMANT}
    assert settled.retired == {"vxcanaa"}


def test_a_pair_that_was_being_mended_was_not_handed_back() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaaq")])
    declared = record([network()], [endpoint("aa", phase=Phase.JOINED)])
    assert after_observation(declared, kernel.observe()) == declared
    assert make_plan(declared, kernel.observe()).steps[0] == DeleteLink(3, "vxcanaa")


@pytest.mark.parametrize(
    "declared",
    [
        record([network()], [endpoint("aa", phase=Phase.JOINED)]),
        record([network()], [endpoint("aa", phase=Phase.LEFT)]),
        record([network()], retired=["vxcanaa"]),
    ],
    ids=["joined", "left", "retired"],
)
def test_a_placeholder_that_is_left_over_is_deleted(declared: Declared) -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaaq", "vxcanaar")])
    kernel.take("vxcanaaq", 1)
    observed = kernel.observe()
    steps = make_plan(after_observation(declared, observed), observed).steps
    assert DeleteLink(2, "vxcanaar") in steps


def test_an_interface_of_somebody_else_tells_nothing_of_an_endpoint() -> None:
    kernel = FakeKernel()
    kernel.make("vxcanaa", "vxcan")
    declared = record([network()], [endpoint("aa", phase=Phase.JOINED)])
    assert after_observation(declared, kernel.observe()) == declared


def test_a_virtual_bus_that_is_gone_will_be_evercans_own() -> None:
    gone = after_observation(record([network(owns_bus=False)]), EMPTY)
    assert gone.networks["net"].owns_bus
    there = Link(index=5, name="vcan0", kind="vcan")
    assert (
        not after_observation(record([network(owns_bus=False)]), seeing(there))
        .networks["net"]
        .owns_bus
    )
    assert not after_observation(record([physical()]), EMPTY).networks["net"].owns_bus


def test_a_retired_name_that_is_gone_is_forgotten() -> None:
    declared = record([network()], retired=["vxcanaa"])
    assert not after_observation(declared, EMPTY).retired


@given(worlds())
def test_settling_twice_is_settling_once(world: World) -> None:
    observed = world.kernel.observe()
    once = after_observation(world.declared, observed)
    assert after_observation(once, observed) == once


@given(worlds())
def test_settling_forgets_no_network_and_no_endpoint(world: World) -> None:
    settled = after_observation(world.declared, world.kernel.observe())
    assert settled.networks.keys() == world.declared.networks.keys()
    assert settled.endpoints.keys() == world.declared.endpoints.keys()
    for before, after in zip(
        world.declared.endpoints.values(), settled.endpoints.values(), strict=True
    ):
        assert replace(before, phase=after.phase) == after
