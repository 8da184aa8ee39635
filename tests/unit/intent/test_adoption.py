"""Adoption takes what the engine lists into a state that was lost."""

from __future__ import annotations

from itertools import permutations

import pytest

from evercan.intent.adoption import adopt
from evercan.intent.changes import CreateNetwork
from evercan.intent.findings import EndpointClaim, NetworkClaim, Outcome
from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import HOST_GROUP, LINK_GROUP, Location
from evercan.model.steps import MakeBus, MakePair
from evercan.options.network import network_options
from evercan.planning.plan import make_plan
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel

ONE = "aaaaaaaa" + "1" * 56
TWIN = "aaaaaaaa" + "2" * 56


def claim(*endpoints: str, name: str = "net", **options: str) -> NetworkClaim:
    return NetworkClaim(
        id=name,
        options={f"vxcan.{key}": value for key, value in options.items()},
        endpoints=[EndpointClaim(id=endpoint) for endpoint in endpoints],
    )


def pair(kernel: FakeKernel, host_end: str, nsid: int | None) -> None:
    kernel.apply([MakePair("vcan0", "", host_end, f"{host_end}p")])
    if nsid is not None:
        kernel.move_in(f"{host_end}p", nsid)


@pytest.mark.parametrize(
    ("kind", "group", "expected"),
    [
        ("vcan", LINK_GROUP, (BusKind.VIRTUAL, True)),
        ("vcan", HOST_GROUP, (BusKind.VIRTUAL, False)),
        ("vcan", 0, (BusKind.VIRTUAL, False)),
        ("", 0, (BusKind.PHYSICAL, False)),
        ("", LINK_GROUP, (BusKind.PHYSICAL, False)),
    ],
)
def test_kind_and_owner_of_a_bus_are_observed(
    kind: str, group: int, expected: tuple[BusKind, bool]
) -> None:
    kernel = FakeKernel()
    kernel.make("vcan0", kind, group=group, up=True)
    after, _ = adopt(declare(), kernel.observe(), [claim()])
    assert (after.networks["net"].kind, after.networks["net"].owns_bus) == expected


def test_a_known_network_stays_as_it_is() -> None:
    kernel = FakeKernel()
    kernel.make("vcan0", "vcan", group=LINK_GROUP, up=True)
    before = declare([network(owns_bus=False)])
    after, done = adopt(before, kernel.observe(), [claim()], prune={"net"})
    assert after == before
    assert done.networks[0][0].outcome is Outcome.KNOWN


def test_the_pair_of_a_running_container_is_recognised_by_name_tag_and_namespace() -> None:
    kernel = FakeKernel()
    pair(kernel, "vxcanaaaaaaaa", 1)
    after, _ = adopt(declare(), kernel.observe(), [claim(ONE, peer="can")])
    adopted = after.endpoints[ONE]
    assert (adopted.host_end, adopted.container_end) == ("vxcanaaaaaaaa", "vxcanaaaaaaaap")
    assert (adopted.phase, adopted.peer_prefix) == (Phase.JOINED, "can")


@pytest.mark.parametrize("what", ["nothing", "without the tag", "both ends on the host", "a vcan"])
def test_an_interface_that_is_no_pair_in_a_container_is_not_adopted(what: str) -> None:
    kernel = FakeKernel()
    if what == "without the tag":
        kernel.make("vxcanaaaaaaaa", "vxcan", up=True)
    elif what == "both ends on the host":
        pair(kernel, "vxcanaaaaaaaa", None)
    elif what == "a vcan":
        kernel.make("vxcanaaaaaaaa", "vcan", group=LINK_GROUP, up=True)
    after, done = adopt(declare(), kernel.observe(), [claim(ONE)])
    assert not after.endpoints
    ((_, (found,)),) = done.networks
    assert found.outcome is Outcome.RESTART
    assert found.remedy == "restart the container"


def test_ids_that_share_their_first_digits_get_their_own_pairs() -> None:
    kernel = FakeKernel()
    pair(kernel, "vxcanaaaaaaaa", 1)
    pair(kernel, "vxcan22222222", 2)
    for order in ([ONE, TWIN], [TWIN, ONE]):
        after, _ = adopt(declare(), kernel.observe(), [claim(*order)])
        assert after.endpoints[ONE].host_end == "vxcanaaaaaaaa"
        assert after.endpoints[TWIN].host_end == "vxcan22222222"


def test_the_pair_of_a_known_endpoint_is_not_given_to_another() -> None:
    kernel = FakeKernel()
    pair(kernel, "vxcanaaaaaaaa", 1)
    first, _ = adopt(declare(), kernel.observe(), [claim(ONE)])
    after, done = adopt(first, kernel.observe(), [claim(ONE, TWIN)])
    assert after == first
    assert [finding.outcome for finding in done.networks[0][1]] == [Outcome.KNOWN, Outcome.RESTART]


def test_an_endpoint_of_another_network_is_rejected_with_a_reason_and_a_remedy() -> None:
    before = declare([network(), network("other")], [endpoint("aa")])
    kernel = FakeKernel()
    after, done = adopt(before, kernel.observe(), [claim(), claim("aa", name="other")])
    assert after == before
    (found,) = done.networks[1][1]
    assert found.outcome is Outcome.REFUSED
    assert "belongs to network net" in found.text
    assert found.remedy


def test_strays_are_reported_and_removed_only_if_asked_for_and_unused() -> None:
    kernel = FakeKernel()
    kernel.make("vcan0", "vcan", group=LINK_GROUP, up=True)
    pair(kernel, "vxcanaa", 1)
    used = network("used", "vcan1")
    before = declare([network(), used], [endpoint("aa", "used")])

    def outcomes(*prune: str) -> tuple[Declared, list[Outcome]]:
        after, done = adopt(before, kernel.observe(), [], prune=prune)
        return after, [finding.outcome for finding in done.strays]

    assert outcomes() == (before, [Outcome.REPORTED, Outcome.IN_USE])
    assert outcomes("another") == outcomes()
    after, found = outcomes("net", "used")
    assert found == [Outcome.FORGOTTEN, Outcome.IN_USE]
    assert set(after.networks) == {"used"}
    assert after.retired == {"vcan0"}


FULL = {"dev": "can", "id": "0", "bitrate": "500000", "restart-ms": "100"}
PART = {"dev": "can", "id": "0", "bitrate": "500000"}
BARE = {"dev": "can", "id": "0"}


@pytest.mark.parametrize("order", list(permutations([FULL, PART, BARE])))
def test_networks_that_may_share_a_controller_are_adopted_in_any_order(
    order: tuple[dict[str, str], ...],
) -> None:
    kernel = FakeKernel()
    kernel.plug("can0")
    claims = [claim(name=f"net{number}", **options) for number, options in enumerate(order)]
    after, done = adopt(declare(), kernel.observe(), claims)
    assert [found.outcome for found, _ in done.networks] == [Outcome.ADOPTED] * 3
    setter = after.network_that_sets("can0")
    assert setter is not None
    assert (setter.settings.bitrate, setter.settings.restart_ms) == (500_000, 100)


@pytest.mark.parametrize("order", list(permutations([FULL, PART, BARE])))
def test_what_is_created_in_an_order_can_be_adopted_in_every_order(
    order: tuple[dict[str, str], ...],
) -> None:
    kernel = FakeKernel()
    kernel.plug("can0")
    declared = declare()
    for number, options in enumerate(order):
        given = network_options({f"vxcan.{key}": value for key, value in options.items()})
        declared = CreateNetwork(f"net{number}", given).apply(declared, kernel.observe())
    assert len(declared.networks) == 3


@pytest.mark.parametrize(
    ("bus", "options", "kind"),
    [
        ("can0", BARE, BusKind.PHYSICAL),
        ("can0", {**BARE, "kind": "virtual"}, BusKind.VIRTUAL),
        ("vcan0", {}, BusKind.VIRTUAL),
    ],
    ids=["the name of a controller", "asked to be virtual", "another name"],
)
def test_an_absent_bus_with_the_name_of_a_controller_is_waited_for(
    bus: str, options: dict[str, str], kind: BusKind
) -> None:
    after, done = adopt(declare(), FakeKernel().observe(), [claim(**options)])
    assert done.networks[0][0].outcome is Outcome.ADOPTED
    assert (after.networks["net"].bus, after.networks["net"].kind) == (bus, kind)
    steps = make_plan(after, FakeKernel().observe()).steps
    assert steps == (() if kind is BusKind.PHYSICAL else (MakeBus(bus),))


def test_a_known_network_on_an_absent_controllers_name_is_not_changed() -> None:
    before = declare([network(bus="can0")])
    after, done = adopt(before, FakeKernel().observe(), [claim(**BARE)])
    assert after == before
    assert done.networks[0][0].outcome is Outcome.KNOWN


def test_an_endpoint_without_pair_and_namespace_is_a_stray() -> None:
    before = declare([network()], [endpoint("aa")])
    observed = FakeKernel().observe()
    after, done = adopt(before, observed, [claim()])
    (ghost,) = done.networks[0][1]
    assert (ghost.id, ghost.outcome) == ("aa", Outcome.REPORTED)
    assert ghost.text
    assert "evercan adopt --prune" in ghost.remedy
    assert after == before
    after, done = adopt(before, observed, [claim()], prune={"aa"})
    (ghost,) = done.networks[0][1]
    assert ghost.outcome is Outcome.FORGOTTEN
    assert not after.endpoints


@pytest.mark.parametrize("why", ["the engine lists it", "its pair exists", "it can be repaired"])
def test_an_endpoint_that_may_be_alive_is_never_a_stray(why: str) -> None:
    kernel = FakeKernel()
    before = declare([network()], [endpoint("aa")])
    if why == "its pair exists":
        pair(kernel, "vxcanaa", 1)
    observed = kernel.observe()
    if why == "it can be repaired":
        observed = replace(observed, locations={"aa": Location(1, "can0")})
    claims = [claim("aa") if why == "the engine lists it" else claim()]
    after, done = adopt(before, observed, claims, prune={"aa"})
    assert set(after.endpoints) == {"aa"}
    outcomes = [finding.outcome for finding in done.networks[0][1]]
    assert outcomes == ([Outcome.KNOWN] if why == "the engine lists it" else [])


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.JOINED])
def test_an_endpoint_that_no_container_has_joined_is_never_a_stray(phase: Phase) -> None:
    before = declare([network()], [endpoint("aa", phase=phase)])
    after, done = adopt(before, FakeKernel().observe(), [claim()], prune={"aa"})
    assert set(after.endpoints) == {"aa"}
    assert done.networks[0][1] == ()
