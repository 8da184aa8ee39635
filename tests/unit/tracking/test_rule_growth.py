"""What rules have counted since an observation is the same by columns and one by one."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from bench.passes import declared_bus
from evercan.model.observed import Observed
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.planning.rules import mesh
from evercan.tracking import rule_growth
from evercan.tracking.frame_counters import FrameCounters

GROUP = (9, 4, 1, b"")
NEAR = 2**32 - 3
counters = st.builds(RuleCount, *[st.sampled_from([0, 0, 1, 7, 2**25, NEAR])] * 3)
observations = st.lists(st.tuples(st.integers(1, 6), counters), max_size=6)


def counted(rows: list[tuple[int, RuleCount]]) -> RuleCounts:
    return RuleCounts((Rule(source, *GROUP), count) for source, count in rows)


def by_source(growth: rule_growth.Growth | None) -> dict[int, RuleCount]:
    """Return the rules that have counted something."""
    if growth is None:
        return {}
    columns = (column or [0] * len(growth.sources) for column in growth[1:])
    rows = zip(growth.sources, *columns, strict=True)
    return {source: RuleCount(*row) for source, *row in rows if any(row)}


@given(observations, observations)
def test_columns_are_compared_like_single_rules(
    before: list[tuple[int, RuleCount]], now: list[tuple[int, RuleCount]]
) -> None:
    one, other = counted(before), counted(now)
    alone = rule_growth._growth_of_copies(one, other, GROUP)
    assert by_source(rule_growth.growth(one, other, GROUP)) == by_source(alone)


def test_a_hundred_thousand_rules_are_added_up_in_no_time() -> None:
    declared, links = declared_bus(members := 220)
    observed = Observed(links=links)
    rules = list(mesh([1], range(10, 10 + members)))
    first, second = (
        RuleCounts((rule, RuleCount(frames + rule.source)) for rule in rules)
        for frames in (1000, 2000)
    )
    sums = FrameCounters()
    sums.add(declared, observed, first)
    used = time.thread_time()
    frames = sums.add(declared, observed, second)
    used = time.thread_time() - used
    assert frames.of_bus("vcan0")["from_bus"].handled == 2 * members * 2001
    # One by one they took 8 µs each.
    assert used / len(rules) < 2.5e-6
