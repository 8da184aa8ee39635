"""The queues put each frame into the band of the fault that decides about it, and of no other."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.model.access import EFF_FLAG, Access
from evercan.model.declared import Declared, Phase
from evercan.model.fault import WHOLE, Effect, Fault, FaultMatch, FaultQueue, Netem
from evercan.model.observed import Observed
from evercan.model.steps import AddRules, MakeFilterInterface, MakePair, SetFaults
from evercan.planning.faults import plan_faults, wanted_queues
from evercan.planning.plan import make_plan
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel

ERR = 0x2000_0000
MEMBERS = ("aa", "bb", "limited", "vcan0", "can0")
IDS = ("", "123", "120:7F0", "00000123", "123,00000120:1FFFFFF0")


def host() -> tuple[Declared, Observed]:
    """Return a bus with two members, one with limits, its interface, and a bridged controller."""
    kernel = FakeKernel()
    kernel.make("vcan0", up=True)
    kernel.plug("can0")
    for name in MEMBERS[:3]:
        kernel.apply([MakePair("", name, f"vxcan{name}"[:13], f"vxcan{name}"[:13] + "p")])
    kernel.apply([MakeFilterInterface("", "limited", "vxcanlimitedf")])
    endpoints = [endpoint("aa"), endpoint("bb"), replace(endpoint("limited"), access=Access("123"))]
    bus = replace(network(), bridge=("can0",))
    return declare([bus], endpoints), kernel.observe()


DECLARED, OBSERVED = host()
ENDS = {
    "aa": "vxcanaa",
    "bb": "vxcanbb",
    "limited": "vxcanlimited",
    "vcan0": "vcan0",
    "can0": "can0",
}
RULE_ENDS = {**ENDS, "limited": "vxcanlimitedf"}

faults_strategy = st.lists(
    st.builds(
        Fault,
        network=st.just("net"),
        slot=st.just(1),
        source=st.sampled_from(["", *MEMBERS]),
        target=st.sampled_from(["", *MEMBERS]),
        ids=st.sampled_from(IDS),
        effect=st.builds(
            Effect, loss=st.sampled_from([0, 250_000, WHOLE]), delay=st.sampled_from([0, 1000])
        ),
    ),
    max_size=6,
).map(lambda found: tuple(replace(one, slot=slot) for slot, one in enumerate(found, start=1)))

frames_strategy = st.tuples(
    st.sampled_from(MEMBERS),
    st.sampled_from(MEMBERS),
    st.sampled_from(
        [0x123, 0x120, 0x12F, 0x130, EFF_FLAG | 0x123, EFF_FLAG | 0x12F, ERR | 0x123, 0x4000_0123]
    ),
)


def concerns(fault: Fault, source: str, target: str, can_id: int) -> bool:
    """Whether a fault is about a frame, by the documentation."""
    if fault.source not in ("", source) or fault.target not in ("", target):
        return False
    if not fault.ids:
        return True
    if can_id & ERR:
        return False
    for entry in fault.ids.split(","):
        digits, _, mask = entry.partition(":")
        is_long = len(digits) == 8
        bits = int(mask, 16) if mask else (0x1FFF_FFFF if is_long else 0x7FF)
        number = can_id & (0x1FFF_FFFF if is_long else 0x7FF)
        if is_long == bool(can_id & EFF_FLAG) and number & bits == int(digits, 16) & bits:
            return True
    return False


def decide(queue: FaultQueue, source: str, target: str, can_id: int) -> dict[int, Fraction]:
    """Return with which probability a frame gets into each band, by slot."""
    left, found = Fraction(1), dict[int, Fraction]()
    for match in queue.matches:
        if match.local and source != target:
            continue
        if match.source not in ("", RULE_ENDS[source]) or (can_id ^ match.can_id) & match.mask:
            continue
        part = left / match.one_in if match.one_in else left
        if not part:
            break
        found[match.slot] = found.get(match.slot, Fraction()) + part
        left -= part
    return found


@given(faults_strategy, frames_strategy)
def test_the_fault_that_was_set_last_decides(
    faults: tuple[Fault, ...], frame: tuple[str, str, int]
) -> None:
    source, target, can_id = frame
    if source == target and source not in ("vcan0", "can0"):
        return  # a container's own frames do not arrive on its host end again
    declared = replace(DECLARED, faults=faults)
    wanted = wanted_queues(declared, OBSERVED)
    found = wanted.get(OBSERVED.links[ENDS[target]].index)
    queue = FaultQueue() if found is None else found[1]
    about = [fault for fault in faults[::-1] if concerns(fault, source, target, can_id)]
    if source == target:  # a program of the host sends it on the interface itself
        about = []
    if target == "vcan0":  # which can lose frames, and nothing else
        about = [fault for fault in about if fault.effect.loss]
    decided = decide(queue, source, target, can_id)
    if not about:
        assert decided.get(0, 1) == 1
        assert set(decided) <= {0}
        return
    last = about[0]
    expected = Fraction(last.effect.loss, WHOLE) if target == "vcan0" else Fraction(1)
    assert decided[last.slot] == expected
    assert sum(decided.values()) == 1
    assert set(decided) <= {0, last.slot}
    bands = dict(queue.bands)
    assert bands.keys() == {match.slot for match in queue.matches} - {0}
    assert (bands[last.slot] is None) == (target == "vcan0")


@pytest.mark.parametrize("interface", ["vcan0", "can0"])
def test_what_a_program_of_the_host_sends_has_no_fault_on_its_own_interface(
    interface: str,
) -> None:
    fault = Fault(network="net", slot=1, effect=Effect(loss=WHOLE))
    wanted = wanted_queues(replace(DECLARED, faults=(fault,)), OBSERVED)
    queue = wanted[OBSERVED.links[interface].index][1]
    assert decide(queue, interface, interface, 0x123) == {0: 1}
    assert decide(queue, "aa", interface, 0x123) == {1: 1}


@given(st.integers(1, WHOLE))
def test_any_loss_of_a_vcan_is_exact_to_a_hundred_thousandth(loss: int) -> None:
    fault = Fault(network="net", slot=1, target="vcan0", effect=Effect(loss=loss))
    ((_, queue),) = wanted_queues(replace(DECLARED, faults=(fault,)), OBSERVED).values()
    decided = decide(queue, "aa", "vcan0", 0x123)
    assert math.isclose(decided.get(1, 0), loss / WHOLE, abs_tol=2e-5)
    assert len(queue.matches) <= 26
    assert all(match.one_in <= 0xFFFF for match in queue.matches)


def test_a_queue_has_room_for_the_frames_that_wait() -> None:
    delays = (0, 100_000, 60_000_000)
    limits = []
    for delay in delays:
        effect = Effect(loss=1, delay=delay)
        fault = Fault(network="net", slot=1, target="aa", effect=effect)
        ((_, queue),) = wanted_queues(replace(DECLARED, faults=(fault,)), OBSERVED).values()
        band = dict(queue.bands)[1]
        assert band is not None
        limits.append(band.limit)
    assert limits == [1000, 2000, 1_000_000]


def test_without_faults_nothing_is_planned() -> None:
    assert list(plan_faults(DECLARED, OBSERVED)) == []


def test_queues_come_before_the_rules_that_let_frames_pass() -> None:
    fault = Fault(network="net", slot=1, effect=Effect(loss=WHOLE))
    steps = make_plan(replace(DECLARED, faults=(fault,)), OBSERVED).steps
    kinds = [type(step) for step in steps]
    assert SetFaults in kinds
    last = len(kinds) - 1 - kinds[::-1].index(SetFaults)
    assert last < kinds.index(AddRules)


def test_only_queues_that_are_evercans_by_its_state_are_removed() -> None:
    queue = FaultQueue(((1, Netem()),), (FaultMatch(1),))
    other = FakeKernel()
    other.make("vcan9", up=True)
    foreign = other.observe()
    index = foreign.links["vcan9"].index
    observed = replace(foreign, fault_queues={index: queue})
    assert list(plan_faults(Declared(), observed)) == []
    (step,) = plan_faults(replace(Declared(), fault_queues=frozenset({index})), observed)
    assert isinstance(step, SetFaults)
    assert (step.name, step.queue, step.former) == ("vcan9", None, queue)


def test_a_member_that_has_not_joined_has_no_queue() -> None:
    created = declare([network()], [endpoint("aa", phase=Phase.CREATED)])
    fault = Fault(network="net", slot=1, target="aa", effect=Effect(loss=1))
    assert wanted_queues(replace(created, faults=(fault,)), OBSERVED) == {}


@pytest.mark.parametrize("changed", ["set", "same", "cleared"])
def test_what_is_asked_for_is_no_drift(changed: str) -> None:
    fault = Fault(network="net", slot=1, target="aa", effect=Effect(loss=1))
    with_fault = replace(DECLARED, faults=(fault,))
    index = OBSERVED.links["vxcanaa"].index
    made = wanted_queues(with_fault, OBSERVED)[index][1]
    before, after, seen = {
        "set": (DECLARED, with_fault, {}),
        "same": (with_fault, with_fault, {}),
        "cleared": (with_fault, DECLARED, {index: made}),
    }[changed]
    plan = make_plan(after, replace(OBSERVED, fault_queues=seen), before)
    assert [isinstance(step, SetFaults) for step in plan.steps].count(True) == 1
    drift = [item.kind.value for item in plan.drift if isinstance(item.step, SetFaults)]
    assert drift == (["faults-changed"] if changed == "same" else [])
