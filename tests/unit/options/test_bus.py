"""What a new network's bus is: as observed, as asked for, or as the state says."""

from __future__ import annotations

import pytest

from evercan.errors import OptionError, RequestError
from evercan.intent.changes import CreateNetwork
from evercan.model.controller import ControllerSettings
from evercan.model.declared import BusKind, Declared, Network
from evercan.model.names import looks_like_hardware
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.options.network import NetworkOptions, network_options
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network, physical
from tests.support.fake_controllers import SJA1000

FAST, SLOW = ControllerSettings(bitrate=500_000), ControllerSettings(bitrate=250_000)
FAST_RESTARTS = replace(FAST, restart_ms=1)
CARD = Link(index=5, name="can0", kind="can", controller=SJA1000)
SLCAN = Link(index=5, name="can0", kind="")
VCAN = Link(index=5, name="can0", kind="vcan")
OUR_VCAN = replace(VCAN, group=LINK_GROUP)
V, P = BusKind.VIRTUAL, BusKind.PHYSICAL


def create(
    link: Link | None,
    kind: BusKind | None = None,
    settings: ControllerSettings = ControllerSettings(),  # noqa: B008 - frozen
    declared: Declared | None = None,
) -> Network:
    observed = Observed(links={} if link is None else {link.name: link})
    options = NetworkOptions(bus="can0", kind=kind, settings=settings)
    after = CreateNetwork("new", options).apply(declared or declare(), observed)
    return after.networks["new"]


@pytest.mark.parametrize(
    ("link", "kind", "is_kind", "owns"),
    [
        (None, None, V, True),
        (None, V, V, True),
        (None, P, P, False),
        (CARD, None, P, False),
        (CARD, P, P, False),
        (SLCAN, None, P, False),
        (VCAN, None, V, False),
        (VCAN, V, V, False),
        (OUR_VCAN, None, V, False),  # tagged, but no network owns it
    ],
)
def test_a_first_network(
    link: Link | None, kind: BusKind | None, is_kind: BusKind, owns: bool
) -> None:
    made = create(link, kind)
    assert (made.kind, made.owns_bus) == (is_kind, owns)


@pytest.mark.parametrize("link", [None, CARD])
def test_a_bus_that_is_physical_in_the_state_stays_physical(link: Link | None) -> None:
    made = create(link, declared=declare([physical("old")]))
    assert (made.kind, made.owns_bus) == (P, False)


def test_a_missing_virtual_bus_is_owned_by_its_second_network_too() -> None:
    made = create(None, declared=declare([network("old", "can0")]))
    assert (made.kind, made.owns_bus) == (V, True)


@pytest.mark.parametrize(
    ("link", "kind", "old", "words"),
    [
        (VCAN, P, None, "vxcan.kind='physical'.*is a vcan, no controller.*ip link del can0"),
        (VCAN, None, physical("old"), "vcan, no controller.*ip link del can0"),
        (VCAN, V, physical("old"), "vcan, no controller"),
        (CARD, V, None, "vxcan.kind='virtual'.*can0 is a CAN controller"),
        (None, V, physical("old"), "can0 is a CAN controller"),
        (None, P, network("old", "can0"), "network old has can0 as a virtual bus.*remove"),
        (replace(CARD, is_can=False), None, None, "no CAN interface"),
    ],
)
def test_an_interface_of_another_kind_is_rejected(
    link: Link | None, kind: BusKind | None, old: Network | None, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        create(link, kind, declared=declare([old] if old else []))


@pytest.mark.parametrize(
    ("link", "kind", "words"),
    [
        (None, None, "vxcan.bitrate='500000'.*virtual bus: there is no controller.*physical"),
        (VCAN, None, "vxcan.bitrate='500000'.*it is a vcan"),
        (SLCAN, P, "vxcan.bitrate.*takes no settings by netlink"),
    ],
)
def test_settings_are_rejected_where_they_cannot_be_applied(
    link: Link | None, kind: BusKind | None, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        create(link, kind, FAST)


@pytest.mark.parametrize(
    ("first", "second"),
    [(FAST, FAST), (FAST, ControllerSettings()), (FAST, FAST_RESTARTS)],
    ids=["the same", "none", "fewer"],
)
def test_two_networks_on_a_controller_are_accepted_in_any_order(
    first: ControllerSettings, second: ControllerSettings
) -> None:
    for old, new in ((first, second), (second, first)):
        declared = declare([replace(physical("old"), settings=old)])
        assert create(CARD, settings=new, declared=declared).settings == new


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (FAST, SLOW, "vxcan.bitrate='250000'.*network old on the same bus can0 has 500000"),
        (
            ControllerSettings(bitrate=500_000, sample_point=800),
            FAST_RESTARTS,
            "vxcan.restart-ms='1'.*network old.*leaves it alone",
        ),
    ],
    ids=["another value", "each has one that the other has not"],
)
def test_two_networks_on_a_controller_are_rejected_in_any_order(
    first: ControllerSettings, second: ControllerSettings, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        create(CARD, settings=second, declared=declare([replace(physical("old"), settings=first)]))
    declared = declare([replace(physical("old"), settings=second)])
    with pytest.raises(OptionError, match="network old on the same bus can0"):
        create(CARD, settings=first, declared=declared)


def test_the_second_network_may_give_the_settings() -> None:
    declared = declare([physical("old"), replace(physical("new"), settings=FAST)])
    setter = declared.network_that_sets("can0")
    assert setter is not None
    assert setter.id == "new"
    assert declared.network_that_sets("can1") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (NetworkOptions(bus="can0", settings=SLOW), "settings bitrate 500000, not bitrate 250000"),
        (NetworkOptions(bus="can0"), "settings bitrate 500000, not none"),
        (NetworkOptions(bus="can0", kind=V, settings=FAST), "kind physical, not virtual"),
    ],
)
def test_a_known_id_with_other_settings_is_rejected(options: NetworkOptions, words: str) -> None:
    declared = declare([replace(physical("old"), settings=FAST)])
    with pytest.raises(RequestError, match=words):
        CreateNetwork("old", options).apply(declared, Observed())


@pytest.mark.parametrize(
    ("bus", "like"),
    [("can0", True), ("can12", True), ("slcan0", True), ("vcan0", False), ("canary", False)],
)
def test_names_that_kernels_give_to_hardware(bus: str, like: bool) -> None:
    assert looks_like_hardware(bus) is like


def numbered(declared: Declared, *names: str, prefix: str = "vcan") -> str:
    """Return the bus of a new network with ``vxcan.id=auto`` beside some interfaces."""
    links = {name: Link(index=n, name=name, kind="vcan") for n, name in enumerate(names, 1)}
    options = network_options({"vxcan.id": "auto", "vxcan.dev": prefix})
    after = CreateNetwork("new", options).apply(declared, Observed(links=links))
    made = after.networks["new"]
    assert (made.auto_prefix, made.kind, made.owns_bus) == (prefix, V, True)
    return made.bus


def test_auto_takes_the_lowest_number_that_nothing_has() -> None:
    assert numbered(declare()) == "vcan0"
    assert numbered(declare(), "vcan0", "vcan1", "vcan3") == "vcan2"
    assert numbered(declare([network("a", "vcan0")])) == "vcan1"
    assert numbered(declare(retired=["vcan0"])) == "vcan1"
    waiting = declare([replace(network("a", "x"), alias="vcan0")])
    assert numbered(waiting) == "vcan1"
    pairs = declare([network()], [endpoint("0")])
    assert numbered(pairs, prefix="vxcan") == "vxcan1"


def test_auto_does_not_take_an_altname() -> None:
    link = Link(index=1, name="eth0", is_can=False, altnames=frozenset({"vcan0"}))
    options = network_options({"vxcan.id": "auto"})
    after = CreateNetwork("new", options).apply(declare(), Observed(links={"eth0": link}))
    assert after.networks["new"].bus == "vcan1"


def test_auto_is_rejected_when_no_short_name_is_free() -> None:
    prefix = "v" * 14
    taken = [f"{prefix}{number}" for number in range(10)]
    with pytest.raises(OptionError, match=r"shorter vxcan\.dev"):
        numbered(declare(), *taken, prefix=prefix)


def test_a_repeated_call_keeps_the_number() -> None:
    options = network_options({"vxcan.id": "auto"})
    once = CreateNetwork("new", options).apply(declare(), Observed())
    here = Observed(links={"vcan0": replace(OUR_VCAN, name="vcan0")})
    assert CreateNetwork("new", options).apply(once, here) == once


@pytest.mark.parametrize(
    ("first", "second"),
    [({"vxcan.id": "auto"}, {}), ({}, {"vxcan.id": "auto"})],
)
def test_a_known_id_with_auto_instead_of_a_number_is_rejected(
    first: dict[str, str], second: dict[str, str]
) -> None:
    once = CreateNetwork("new", network_options(first)).apply(declare(), Observed())
    with pytest.raises(RequestError, match=r"exists with bus .*vcan\(auto\)"):
        CreateNetwork("new", network_options(second)).apply(once, Observed())


def test_an_interface_whose_name_is_no_text_is_rejected_as_a_bus() -> None:
    odd = b"b\xfcs".decode(errors="surrogateescape")
    link = replace(CARD, name=odd, altnames=frozenset({"can0"}))
    with pytest.raises(OptionError, match=r"b\\xfcs.*rename it"):
        create(link)


def test_a_bus_that_is_asked_for_by_an_altname_is_recorded_by_its_interfaces_name() -> None:
    observed = Observed(links={"can0": replace(CARD, altnames=frozenset({"body0"}))})
    change = CreateNetwork("new", NetworkOptions(bus="body0"))
    created = change.apply(declare(), observed).networks["new"]
    assert (created.bus, created.alias, created.asked_bus) == ("can0", "body0", "body0")
