"""The table of rules behaves like a ``Counter`` of them."""

from __future__ import annotations

import sys
from array import array
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.rule import OWNER_MARK, Rule
from evercan.model.rule_table import Group, RuleTable
from evercan.planning.rules import mesh

indexes = st.one_of(st.integers(1, 5), st.integers(1, 2**31 - 1))
rules = st.builds(
    Rule,
    indexes,
    indexes,
    st.sampled_from([4, 5, 12, 13]),
    st.sampled_from([0, 1, 1]),
    st.sampled_from([b"", b"", OWNER_MARK, b"other"]),
)
# Few different rules, so that some exist more than once.
multisets = st.lists(rules, max_size=6).flatmap(
    lambda some: st.lists(st.sampled_from(some), max_size=20) if some else st.just([])
)


@given(multisets, rules)
def test_a_table_counts_like_a_counter(some: list[Rule], other: Rule) -> None:
    table, counter = RuleTable.of(some), Counter(some)
    assert table == counter
    assert dict(table.items()) == dict(counter)
    assert len(table) == len(counter)
    assert table.total() == counter.total()
    assert set(table) == set(counter)
    for rule in (*some, other):
        assert table[rule] == counter[rule]
        assert (rule in table) == (rule in counter)


@given(multisets, multisets)
def test_tables_are_equal_if_their_rules_are(one: list[Rule], other: list[Rule]) -> None:
    equal = Counter(one) == Counter(other)
    assert (RuleTable.of(one) == RuleTable.of(other)) == equal
    assert (RuleTable.of(one) == Counter(other)) == equal
    assert RuleTable.of(one) == RuleTable.of(Counter(reversed(one)))


@given(multisets)
def test_rules_are_in_one_order(some: list[Rule]) -> None:
    assert list(RuleTable.of(some)) == sorted(set(some), key=lambda rule: (rule[1:], rule.source))


@given(multisets)
def test_the_groups_have_all_rules(some: list[Rule]) -> None:
    table = RuleTable.of(some)
    found = [
        Rule(source, *group)  # group by group, each as often as it exists
        for group in table.groups()
        for source in table.sources(group)
    ]
    assert sorted(found) == sorted(some)
    counted = {rule: n for group in table.groups() for rule, n in table.of_group(group)}
    assert counted == Counter(some)


@given(multisets, st.sets(indexes), st.sets(indexes))
def test_rules_are_selected_by_their_ends(
    some: list[Rule], sources: set[int], targets: set[int]
) -> None:
    expected = {
        rule: times
        for rule, times in Counter(some).items()
        if rule.source in sources and rule.target in targets
    }
    assert dict(RuleTable.of(some).among(sources, targets)) == expected


@given(multisets)
def test_rules_are_selected_by_their_mark(some: list[Rule]) -> None:
    marked = {rule for rule in some if rule.is_marked}
    assert set(RuleTable.of(some).with_extras(OWNER_MARK)) == marked


@given(st.lists(indexes, max_size=9))
def test_a_table_takes_the_sources_in_any_order(sources: list[int]) -> None:
    group: Group = (7, 4, 1, b"")
    groups = {group: array("I", sources), (8, 4, 1, b""): array("I")}
    table = RuleTable(groups)
    assert table == Counter(Rule(source, *group) for source in sources)
    assert not groups


def test_a_rule_of_a_large_mesh_takes_a_few_bytes() -> None:
    table = RuleTable.of(mesh([1], range(10, 210)))
    arrays = {id(found): found for found in map(table.sources, table.groups())}
    size = sum(map(sys.getsizeof, (*arrays.values(), *table.groups(), table._groups)))
    assert table.total() == 2 * 200 * 201
    assert size / table.total() < 5
