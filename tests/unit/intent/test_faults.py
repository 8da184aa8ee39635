"""Faults are set, replaced, cleared and forgotten as their users and the host's events ask."""

from __future__ import annotations

import pytest

from evercan.errors import EvercanError, OptionError, RequestError, UnknownNetwork
from evercan.intent.faults import ClearFaults, SetFault
from evercan.intent.observation import after_observation, after_start, before_steps
from evercan.model.declared import Declared
from evercan.model.fault import MAX_FAULTS, Effect, FaultQueue, Netem
from evercan.model.observed import Link, Observed
from evercan.model.steps import SetFaults
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network, physical

LOSS = Effect(loss=50_000)
DECLARED = declare(
    [network(), network("other"), physical("third")],
    [endpoint("aa"), endpoint("bb", "other"), endpoint("cc", "third")],
)
OBSERVED = Observed(links={"vcan0": Link(index=2, name="vcan0", kind="vcan", up=True)}, at=1_000.0)


def set_on(
    declared: Declared, source: str = "", target: str = "", ids: str = "", effect: Effect = LOSS
) -> Declared:
    return SetFault("net", source, target, ids, effect).apply(declared, OBSERVED)


def test_a_fault_gets_the_lowest_free_slot_of_its_bus_and_its_end() -> None:
    declared = set_on(set_on(DECLARED), "aa")
    declared = SetFault("third", "", "", "", LOSS, 60.0).apply(declared, OBSERVED)
    assert [(fault.slot, fault.until) for fault in declared.faults] == [
        *((1, None), (2, None), (1, 1_060.0)),
    ]
    declared = ClearFaults("net", source="").apply(declared, OBSERVED)
    assert [fault.slot for fault in set_on(declared, target="bb").faults] == [2, 1, 1]


def test_a_fault_about_the_same_frames_is_replaced_and_becomes_the_last() -> None:
    declared = set_on(set_on(DECLARED, "aa"), "bb")
    again = set_on(declared, "aa", effect=Effect(delay=5))
    assert [(fault.source, fault.slot) for fault in again.faults] == [("bb", 2), ("aa", 1)]
    assert again.faults[-1].effect == Effect(delay=5)


def test_an_undo_restores_what_was_replaced_and_keeps_what_came_later() -> None:
    first = set_on(DECLARED, "aa")
    change = SetFault("net", "aa", "", "", Effect(delay=5))
    later = set_on(change.apply(first, OBSERVED), "bb")
    undone = change.undo(first, later)
    assert {(fault.source, fault.effect) for fault in undone.faults} == {("aa", LOSS), ("bb", LOSS)}
    assert change.undo(DECLARED, change.apply(DECLARED, OBSERVED)) == DECLARED
    assert change.undo(first, DECLARED.without_network("net")).faults == ()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (SetFault("nobody", "", "", "", LOSS), UnknownNetwork, "network 'nobody'"),
        (SetFault("net", "cc", "", "", LOSS), OptionError, "option --from='cc': is no member"),
        (SetFault("net", "", "can0", "", LOSS), OptionError, "option --to='can0': is no member"),
        (SetFault("net", "aa", "aa", "", LOSS), OptionError, "option --to='aa': is also"),
        (SetFault("net", "", "vcan0", "", Effect(delay=1)), OptionError, "vcan0 is a vcan"),
        (SetFault("net", "", "vcan0", "", Effect(corrupt=1)), OptionError, "--corrupt"),
        (ClearFaults("nobody"), UnknownNetwork, "network 'nobody'"),
    ],
)
def test_what_does_not_fit_the_bus_is_rejected(
    change: SetFault | ClearFaults, error: type[EvercanError], text: str
) -> None:
    with pytest.raises(error) as raised:
        change.apply(DECLARED, OBSERVED)
    assert text in str(raised.value)
    assert raised.value.remedy


def test_a_bus_has_a_limited_number_of_faults() -> None:
    declared = DECLARED
    for number in range(MAX_FAULTS):
        declared = set_on(declared, ids=f"{number:03X}")
    with pytest.raises(RequestError, match="has 15 faults"):
        set_on(declared, ids="7FF")
    assert len(set_on(declared, ids="003").faults) == MAX_FAULTS, "replacing one is possible"


def test_faults_of_a_shared_bus_are_cleared_by_either_network() -> None:
    declared = set_on(set_on(DECLARED, "aa"), "bb")
    declared = SetFault("third", "", "", "", LOSS).apply(declared, OBSERVED)
    assert [fault.network for fault in ClearFaults("other").apply(declared, OBSERVED).faults] == [
        "third"
    ]
    assert ClearFaults().apply(declared, OBSERVED).faults == ()
    assert len(ClearFaults(source="aa").apply(declared, OBSERVED).faults) == 2
    assert ClearFaults().undo(declared, DECLARED) == DECLARED


def test_a_fault_goes_with_what_it_names() -> None:
    declared = set_on(set_on(set_on(DECLARED, "aa"), target="bb"), "vcan0")
    assert [fault.source for fault in declared.without_endpoint("aa").faults] == ["", "vcan0"]
    assert [fault.source for fault in declared.without_endpoint("bb").faults] == ["aa", "vcan0"]
    assert declared.without_network("net").faults == ()
    assert len(declared.without_network("third").faults) == 3


def test_a_fault_ends_with_its_time_and_with_the_boot() -> None:
    declared = SetFault("net", "", "", "", LOSS, 60.0).apply(set_on(DECLARED, "aa"), OBSERVED)
    for at, left in ((1_059.0, 2), (1_060.0, 1), (9_999.0, 1)):
        seen = replace(OBSERVED, at=at)
        assert len(after_observation(declared, seen).faults) == left
    assert len(after_start(declared, declared.boot).faults) == 2
    assert after_start(declared, "boot-2").faults == ()


def test_the_interfaces_that_get_a_queue_are_recorded_until_it_is_gone() -> None:
    queue = FaultQueue(((1, Netem()),), ())
    steps = [
        SetFaults("vcan0", None, 2, "vcan0", 0, queue),
        SetFaults("vcan0", None, 3, "vcan1", 0, None, queue),
    ]
    noted = before_steps(DECLARED, steps)
    assert noted.fault_queues == {2}
    assert after_observation(noted, replace(OBSERVED, fault_queues={2: queue})) == noted
    assert after_observation(noted, OBSERVED).fault_queues == frozenset()
    assert after_start(noted, "boot-2").fault_queues == frozenset()
