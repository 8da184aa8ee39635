"""Frames are added up from counters that start anew whenever a rule does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.observed import Link, Observed, Rule, RuleCount
from evercan.planning.rules import mesh
from evercan.tracking.frame_counters import DIRECTIONS, EndpointFrames, FrameCounters

BUS, ONE, TWO = 2, 3, 4
DECLARED = Declared(
    networks={"net": Network(id="net", bus="vcan0")},
    endpoints={
        name: Endpoint(
            id=name,
            network="net",
            host_end=f"vxcan{name}",
            container_end=f"vxcan{name}p",
            peer_prefix="can",
            phase=Phase.JOINED,
        )
        for name in ("one", "two")
    },
)
OBSERVED = Observed(
    links={
        name: Link(index=index, name=name)
        for name, index in (("vcan0", BUS), ("vxcanone", ONE), ("vxcantwo", TWO))
    }
)
RULES = list(mesh(BUS, [ONE, TWO]))


def counts(*, classic: dict[tuple[int, int], RuleCount]) -> list[tuple[Rule, RuleCount]]:
    """Every rule of the mesh; those named by their two ends have counted classic frames."""
    return [
        (
            rule,
            RuleCount() if rule.flags & 8 else classic.get((rule.source, rule.target), RuleCount()),
        )
        for rule in RULES
    ]


def test_each_direction_of_a_bus_is_summed() -> None:
    frames = FrameCounters().add(
        DECLARED,
        OBSERVED,
        counts(
            classic={
                (BUS, ONE): RuleCount(handled=5, deleted=1),
                (BUS, TWO): RuleCount(handled=4, dropped=1),
                (ONE, BUS): RuleCount(handled=7),
                (ONE, TWO): RuleCount(handled=7),
            }
        ),
    )
    assert frames.of_bus("vcan0") == {
        "from_bus": RuleCount(9, 1, 1),
        "to_bus": RuleCount(7, 0, 0),
        "between_members": RuleCount(7, 0, 0),
    }


def test_a_frame_that_two_members_heard_was_sent_once() -> None:
    frames = FrameCounters().add(
        DECLARED,
        OBSERVED,
        counts(
            classic={
                (ONE, BUS): RuleCount(handled=7),
                (ONE, TWO): RuleCount(handled=5, dropped=2),
                (BUS, ONE): RuleCount(handled=3, deleted=4),
            }
        ),
    )
    assert frames.of_endpoint("one") == EndpointFrames(sent=7, received=3, dropped=0, deleted=4)
    assert frames.of_endpoint("two") == EndpointFrames(sent=0, received=5, dropped=2, deleted=0)


def test_classic_and_fd_frames_are_both_sent() -> None:
    both = [(rule, RuleCount(handled=2)) for rule in RULES if rule.source == ONE]
    assert FrameCounters().add(DECLARED, OBSERVED, both).of_endpoint("one").sent == 4


def test_a_rule_laid_anew_takes_nothing_away() -> None:
    ledger = FrameCounters()
    ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(100)}))
    ledger.add(DECLARED, OBSERVED, [])
    frames = ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(3)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == 103
    # Laid anew between two looks: all that it counts is new.
    frames = ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(2)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == 105
    assert frames.of_endpoint("one").sent == 105


def test_a_counter_that_wraps_goes_on() -> None:
    ledger = FrameCounters()
    near = (1 << 32) - 10
    ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(near)}))
    frames = ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(5)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == near + 15


def test_the_end_of_a_doubled_rule_counts_nothing_twice() -> None:
    ledger = FrameCounters()
    rule = Rule(ONE, BUS, 5)
    ledger.add(DECLARED, OBSERVED, [(rule, RuleCount(100)), (rule, RuleCount(10))])
    frames = ledger.add(DECLARED, OBSERVED, [(rule, RuleCount(101))])
    assert frames.of_bus("vcan0")["to_bus"].handled == 110
    frames = ledger.add(DECLARED, OBSERVED, [(rule, RuleCount(103))])
    assert frames.of_bus("vcan0")["to_bus"].handled == 112


def test_rules_of_others_are_not_counted() -> None:
    foreign = [(Rule(9, BUS, 0), RuleCount(1)), (Rule(BUS, 9, 0), RuleCount(1))]
    assert set(FrameCounters().add(DECLARED, OBSERVED, foreign).by_bus.values()) == {RuleCount()}


def test_a_bus_on_which_nobody_has_sent_anything_has_sent_0() -> None:
    by_bus = FrameCounters().add(DECLARED, OBSERVED, []).by_bus
    assert by_bus == {("vcan0", each): RuleCount() for each in DIRECTIONS}


def test_who_is_forgotten_is_counted_no_more() -> None:
    ledger = FrameCounters()
    ledger.add(DECLARED, OBSERVED, counts(classic={(ONE, TWO): RuleCount(1)}))
    frames = ledger.add(Declared(), OBSERVED, [])
    assert (dict(frames.by_bus), dict(frames.by_endpoint)) == ({}, {})


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(RULES), st.builds(RuleCount, *[st.integers(0, 2**32 - 1)] * 3)
            ),
            max_size=6,
        ),
        max_size=6,
    )
)
def test_sums_never_fall(looks: list[list[tuple[Rule, RuleCount]]]) -> None:
    ledger = FrameCounters()
    before = ledger.add(DECLARED, OBSERVED, [])
    for look in looks:
        now = ledger.add(DECLARED, OBSERVED, look)
        for direction, count in before.of_bus("vcan0").items():
            assert all(a <= b for a, b in zip(count, now.of_bus("vcan0")[direction], strict=True))
        for endpoint in ("one", "two"):
            old, new = before.of_endpoint(endpoint), now.of_endpoint(endpoint)
            assert all(a <= b for a, b in zip(old, new, strict=True))
        before = now


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(RULES), st.builds(RuleCount, *[st.sampled_from([0, 0, 1, 7])] * 3)
        ),
        max_size=6,
    )
)
def test_rules_that_have_counted_nothing_need_not_be_told(
    looks: list[dict[Rule, RuleCount]],
) -> None:
    one, other = FrameCounters(), FrameCounters()
    for each in looks:
        told = [(rule, count) for rule, count in each.items() if any(count)]
        whole = one.add(DECLARED, OBSERVED, each.items())
        part = other.add(DECLARED, OBSERVED, told)
        assert whole.by_bus == part.by_bus
        for endpoint in ("one", "two"):
            assert whole.of_endpoint(endpoint) == part.of_endpoint(endpoint)
