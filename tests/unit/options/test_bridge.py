"""``vxcan.bridge``: which interfaces may be members of a bus."""

from __future__ import annotations

import pytest

from evercan.errors import OptionError, RequestError
from evercan.intent.changes import CreateNetwork
from evercan.model.declared import Declared
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.options.network import MAX_BRIDGED, NetworkOptions, network_options
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network

LINKS = (
    Link(index=2, name="vcan9", kind="vcan", altnames=frozenset({"body"})),
    Link(index=3, name="eth0", is_can=False),
    Link(index=4, name="vxcanaa", kind="vxcan", group=LINK_GROUP),
)
OBSERVED = Observed(links={link.name: link for link in LINKS})


def create(declared: Declared, *bridge: str, bus: str = "vcan0") -> Declared:
    return CreateNetwork("new", NetworkOptions(bus=bus, bridge=bridge)).apply(declared, OBSERVED)


def test_names_are_read_in_their_order() -> None:
    assert network_options({"vxcan.bridge": "vcan9,can1"}).bridge == ("vcan9", "can1")
    assert network_options({}).bridge == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is empty.*as in vxcan.bridge=vcan9,can1"),
        ("vcan9,", "is empty"),
        ("vcan9, can1", "has a character"),
        ("v" * 16, "16 bytes"),
        ("vcan9,vcan9", "vcan9 is given twice"),
        ("vcan9\nx", "has a character"),
        (",".join(f"vcan{number}" for number in range(MAX_BRIDGED + 1)), "at most 16"),
    ],
)
def test_bad_names_are_rejected(value: str, words: str) -> None:
    with pytest.raises(OptionError, match=f"(?s)vxcan.bridge=.*{words}"):
        network_options({"vxcan.bridge": value})


def test_an_interface_that_is_absent_may_be_bridged() -> None:
    assert create(declare(), "can1").networks["new"].bridge == ("can1",)


@pytest.mark.parametrize(
    ("bridge", "words"),
    [
        (["vcan0"], "is the network's bus interface itself"),
        (["vcan9", "body"], "given twice by its name vcan9"),
        (["eth0"], "no CAN interface"),
        (["vxcanaa"], "a container's CAN interface"),
        (["vxcanaap"], "a container's CAN interface"),
    ],
)
def test_what_cannot_be_a_further_member_is_rejected(bridge: list[str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        create(declare([network("old", "vcan5")], [endpoint("aa", "old")]), *bridge)


@pytest.mark.parametrize("name", ["vcan5", "vcan9", "body"])
def test_a_member_of_another_bus_is_rejected_with_its_network(name: str) -> None:
    old = replace(network("old", "vcan5"), bridge=("vcan9",))
    with pytest.raises(OptionError, match=f"{name} is .* another bus.*network old.*one bus only"):
        create(declare([old]), name)


@pytest.mark.parametrize("bus", ["vcan9", "body"])
def test_a_bridged_interface_cannot_be_the_bus_of_another_network(bus: str) -> None:
    old = replace(network("old", "vcan5"), bridge=("vcan9",))
    with pytest.raises(OptionError, match=f"{bus} is a member of the bus vcan5"):
        create(declare([old]), bus=bus)


def test_networks_on_one_bus_may_bridge_the_same_interface() -> None:
    old = replace(network("old"), bridge=("vcan9",))
    declared = create(declare([old]), "vcan9", "can1")
    assert declared.bridged() == {"vcan0": ("vcan9", "can1")}


def test_a_network_that_comes_again_with_another_bridge_is_rejected() -> None:
    declared = create(declare(), "vcan9", "can1")
    assert create(declared, "can1", "vcan9") == declared
    with pytest.raises(RequestError, match="bridge can1,vcan9, not vcan9"):
        create(declared, "vcan9")
