"""Warnings are about what works and is probably not as its user expects."""

from __future__ import annotations

import pytest

from evercan.model.declared import Declared, Phase
from evercan.model.observed import LINK_GROUP, Link, Location, Observed
from evercan.model.problems import ProblemKind
from evercan.planning.warnings import find_warnings
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network, physical
from tests.support.fake_controllers import SJA1000

BUS = Link(index=2, name="vcan0", kind="vcan", up=True, running=True)
END = Link(
    index=3,
    name="vxcanaa",
    kind="vxcan",
    group=LINK_GROUP,
    up=True,
    running=False,
    peer_index=7,
    peer_nsid=1,
)
MEMBER = declare([network()], [endpoint("aa")])


def seen(*links: Link, known: bool = True) -> Observed:
    locations = {"aa": Location(1, "can0")} if known else {}
    return Observed(links={link.name: link for link in links}, locations=locations)


def kinds(declared: Declared, observed: Observed) -> list[ProblemKind]:
    found = find_warnings(declared, observed)
    assert all(warning.text and warning.remedy for warning in found)
    return [warning.kind for warning in found]


@pytest.mark.parametrize(("mtu", "warned"), [(16, True), (71, True), (72, False), (2060, False)])
def test_a_virtual_bus_of_the_hosts_own_without_fd_is_a_warning(mtu: int, warned: bool) -> None:
    observed = seen(replace(BUS, mtu=mtu))
    expected = [ProblemKind.BUS_NO_FD] if warned else []
    assert kinds(declare([network(owns_bus=False)]), observed) == expected


@pytest.mark.parametrize("what", ["own", "absent", "controller"])
def test_other_buses_without_fd_are_no_warning(what: str) -> None:
    links = {
        "own": [replace(BUS, mtu=16, group=LINK_GROUP)],
        "absent": [],
        "controller": [replace(BUS, name="can0", kind="can", mtu=16, controller=SJA1000)],
    }[what]
    declared = declare([physical() if what == "controller" else network()])
    assert kinds(declared, seen(*links)) == []


def test_two_networks_on_one_bus_without_fd_are_one_warning() -> None:
    declared = declare([network(owns_bus=False), network("other", owns_bus=False)])
    assert kinds(declared, seen(replace(BUS, mtu=16))) == [ProblemKind.BUS_NO_FD]


def test_an_end_that_is_down_in_its_container_is_a_warning_about_its_endpoint() -> None:
    (warning,) = find_warnings(MEMBER, seen(BUS, END))
    assert (warning.kind, warning.bus, warning.endpoint) == (ProblemKind.END_DOWN, "vcan0", "aa")


@pytest.mark.parametrize(
    ("end", "known", "phase"),
    [
        (replace(END, running=True), True, Phase.JOINED),
        (replace(END, up=False), True, Phase.JOINED),
        (replace(END, peer_nsid=-1), True, Phase.JOINED),
        (replace(END, peer_nsid=None), True, Phase.JOINED),
        (END, False, Phase.JOINED),
        (END, True, Phase.OFFERED),
        (END, True, Phase.LEFT),
    ],
    ids=[
        "up",
        "the host end is down itself",
        "its namespace is ending",
        "on the host",
        "not seen up yet",
        "being moved in",
        "being moved out",
    ],
)
def test_an_end_in_any_other_state_is_no_warning(end: Link, known: bool, phase: Phase) -> None:
    declared = declare([network()], [endpoint("aa", phase=phase)])
    assert kinds(declared, seen(BUS, end, known=known)) == []
