"""Frames are added up from counters that start at 0 whenever a rule is added."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.observed import Link, Observed
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.planning.rules import mesh
from evercan.tracking.frame_counters import DIRECTIONS, EndpointFrames, FrameCounters
from evercan.values import replace

BUS, ONE, TWO = 2, 3, 4
NETWORK = Network(id="net", bus="vcan0")
DECLARED = Declared(
    networks={"net": NETWORK},
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
RULES = list(mesh([BUS], [ONE, TWO]))


def counts(*, classic: dict[tuple[int, int], RuleCount]) -> RuleCounts:
    """Return every rule of the mesh; those given by their ends have counted classic frames."""
    return RuleCounts(
        (
            rule,
            RuleCount() if rule.flags & 8 else classic.get((rule.source, rule.target), RuleCount()),
        )
        for rule in RULES
    )


def test_frames_are_summed_by_bus_and_direction() -> None:
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


def test_a_frame_that_two_members_received_was_sent_once() -> None:
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
    both = RuleCounts((rule, RuleCount(handled=2)) for rule in RULES if rule.source == ONE)
    assert FrameCounters().add(DECLARED, OBSERVED, both).of_endpoint("one").sent == 4


def test_a_rule_that_is_added_again_does_not_lower_the_sums() -> None:
    counters = FrameCounters()
    counters.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(100)}))
    counters.add(DECLARED, OBSERVED, RuleCounts())
    frames = counters.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(3)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == 103
    # Added again between two observations: everything that it counts is new.
    frames = counters.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(2)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == 105
    assert frames.of_endpoint("one").sent == 105


def test_a_counter_that_wraps_is_continued() -> None:
    counters = FrameCounters()
    near = (1 << 32) - 10
    counters.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(near)}))
    frames = counters.add(DECLARED, OBSERVED, counts(classic={(ONE, BUS): RuleCount(5)}))
    assert frames.of_bus("vcan0")["to_bus"].handled == near + 15


def test_removing_a_doubled_rule_counts_nothing_twice() -> None:
    counters = FrameCounters()
    rule = Rule(ONE, BUS, 5)
    counters.add(DECLARED, OBSERVED, RuleCounts([(rule, RuleCount(100)), (rule, RuleCount(10))]))
    frames = counters.add(DECLARED, OBSERVED, RuleCounts([(rule, RuleCount(101))]))
    assert frames.of_bus("vcan0")["to_bus"].handled == 110
    frames = counters.add(DECLARED, OBSERVED, RuleCounts([(rule, RuleCount(103))]))
    assert frames.of_bus("vcan0")["to_bus"].handled == 112


def test_rules_of_others_are_not_counted() -> None:
    foreign = RuleCounts([(Rule(9, BUS, 0), RuleCount(1)), (Rule(BUS, 9, 0), RuleCount(1))])
    assert set(FrameCounters().add(DECLARED, OBSERVED, foreign).by_bus.values()) == {RuleCount()}


def test_a_bus_without_traffic_counts_0() -> None:
    by_bus = FrameCounters().add(DECLARED, OBSERVED, RuleCounts()).by_bus
    assert by_bus == {("vcan0", direction): RuleCount() for direction in DIRECTIONS}


def test_what_is_no_longer_declared_is_no_longer_counted() -> None:
    counters = FrameCounters()
    counters.add(DECLARED, OBSERVED, counts(classic={(ONE, TWO): RuleCount(1)}))
    frames = counters.add(Declared(), OBSERVED, RuleCounts())
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
def test_sums_never_decrease(observations: list[list[tuple[Rule, RuleCount]]]) -> None:
    counters = FrameCounters()
    before = counters.add(DECLARED, OBSERVED, RuleCounts())
    for counted in observations:
        now = counters.add(DECLARED, OBSERVED, RuleCounts(counted))
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
def test_rules_that_have_counted_nothing_may_be_left_out(
    observations: list[dict[Rule, RuleCount]],
) -> None:
    one, other = FrameCounters(), FrameCounters()
    for counted in observations:
        nonzero = [(rule, count) for rule, count in counted.items() if any(count)]
        whole = one.add(DECLARED, OBSERVED, RuleCounts(counted.items()))
        part = other.add(DECLARED, OBSERVED, RuleCounts(nonzero))
        assert whole.by_bus == part.by_bus
        for endpoint in ("one", "two"):
            assert whole.of_endpoint(endpoint) == part.of_endpoint(endpoint)


def test_bridged_interfaces_count_like_the_bus_interface() -> None:
    bridged = 5
    declared = replace(DECLARED, networks={"net": replace(NETWORK, bridge=("vcan9",))})
    links = {**OBSERVED.links, "vcan9": Link(index=bridged, name="vcan9")}
    counted = [
        (Rule(ONE, bridged, 5), RuleCount(handled=3)),
        (Rule(bridged, ONE, 4), RuleCount(handled=2)),
        (Rule(BUS, bridged, 5), RuleCount(handled=7, deleted=4)),
    ]
    frames = FrameCounters().add(declared, Observed(links=links), RuleCounts(counted))
    assert frames.of_bus("vcan0") == {
        "to_bus": RuleCount(handled=10, deleted=4),
        "from_bus": RuleCount(handled=2),
        "between_members": RuleCount(),
    }
    assert frames.of_endpoint("one") == EndpointFrames(sent=3, received=2)
