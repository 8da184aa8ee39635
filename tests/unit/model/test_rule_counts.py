"""What rules have counted is kept in columns, and read as it was."""

from __future__ import annotations

import tracemalloc
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.rule import OWNER_MARK, Rule, RuleCount
from evercan.model.rule_counts import RuleCounts, paired
from evercan.model.rule_table import INDEXES, Group
from evercan.planning.rules import mesh

rules = st.builds(
    Rule,
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([4, 5]),
    st.sampled_from([0, 1]),
    st.sampled_from([b"", OWNER_MARK]),
)
frames = st.one_of(st.just(0), st.integers(0, 2**32 - 1))
counted = st.lists(st.tuples(rules, st.builds(RuleCount, *[frames] * 3)), max_size=20)


@given(counted)
def test_rules_and_counters_are_read_as_they_were_given(
    some: list[tuple[Rule, RuleCount]],
) -> None:
    counts = RuleCounts(some)
    assert Counter(counts) == Counter(some)
    assert len(counts) == len(some)
    assert {(type(rule), type(count)) for rule, count in counts} <= {(Rule, RuleCount)}
    assert {rule[1:] for rule, _ in some} == set(counts.groups())


@given(counted, st.integers(0, 20))
def test_it_makes_no_difference_in_how_many_pieces_they_come(
    some: list[tuple[Rule, RuleCount]], at: int
) -> None:
    pieces = RuleCounts(some[:at])
    pieces.extend(some[at:])
    assert pieces == RuleCounts(some)


def test_rules_that_have_counted_differently_are_not_equal() -> None:
    rule = Rule(1, 2, 4)
    counts = RuleCounts([(rule, RuleCount(3))])
    assert counts != RuleCounts([(rule, RuleCount(0, 3))])
    assert counts != RuleCounts([(rule._replace(source=3), RuleCount(3))])
    assert list(counts.of_group((9, 4, 1, b""))) == []


def test_a_rule_that_has_only_handled_frames_takes_less_than_16_bytes() -> None:
    many = [(rule, RuleCount(1000 + rule.source)) for rule in mesh([1], range(2, 102))]
    tracemalloc.start()
    counts = RuleCounts(many)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counts) == 20_200
    assert kept / len(counts) < 16


def handled_by(
    rows: Iterable[tuple[Rule, int]], others: Iterable[tuple[Rule, RuleCount]] = ()
) -> RuleCounts:
    """Return rules that have only handled frames, and others, as a dump gives them."""
    groups: defaultdict[Group, list[tuple[int, int]]] = defaultdict(list)
    for rule, frames in rows:
        groups[rule[1:]].append((rule.source, frames))
    counts = RuleCounts(others)
    found = (
        (group, paired(*(array(INDEXES, column) for column in zip(*rows, strict=True))))
        for group, rows in groups.items()
    )
    for group, sources in counts.take_handled(found):
        assert list(sources) == sorted(source for source, _ in groups[group])
    return counts


@given(st.lists(st.tuples(rules, st.integers(1, 2**32 - 1)), max_size=20))
def test_rules_that_have_handled_frames_are_read_as_they_were_given(
    some: list[tuple[Rule, int]],
) -> None:
    assert Counter(handled_by(some)) == Counter((rule, RuleCount(n)) for rule, n in some)


@given(st.lists(st.tuples(rules, st.integers(1, 2**32 - 1)), max_size=20), counted)
def test_rules_that_have_handled_frames_are_merged_with_others(
    some: list[tuple[Rule, int]], others: list[tuple[Rule, RuleCount]]
) -> None:
    expected = Counter(others) + Counter((rule, RuleCount(n)) for rule, n in some)
    assert Counter(handled_by(some, others)) == expected


def test_on_a_bus_on_which_all_have_sent_a_rule_takes_less_than_8_bytes() -> None:
    rows = [(rule, 1000 + rule.source) for rule in mesh([1], range(2, 202))]
    tracemalloc.start()
    counts = handled_by(rows)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert Counter(counts) == Counter((rule, RuleCount(frames)) for rule, frames in rows)
    assert kept / len(rows) < 8


def test_with_rules_that_delete_frames_a_rule_takes_less_than_9_bytes() -> None:
    """The rules from the bus interface delete frames too: those that rules send there."""
    mesh_rules = list(mesh([1], range(2, 202)))
    others = [(rule, RuleCount(7, 0, 9)) for rule in mesh_rules if rule.source == 1]
    rows = [(rule, 1000 + rule.source) for rule in mesh_rules if rule.source != 1]
    tracemalloc.start()
    counts = handled_by(rows, others)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = Counter((rule, RuleCount(frames)) for rule, frames in rows) + Counter(others)
    assert Counter(counts) == expected
    assert kept / len(mesh_rules) < 9
