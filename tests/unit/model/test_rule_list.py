"""The rules of a step behave like a tuple of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.rule import OWNER_MARK, Rule
from evercan.model.rule_list import RuleList

rules = st.builds(
    Rule,
    st.integers(1, 2**31 - 1),
    st.integers(1, 3),
    st.sampled_from([4, 5]),
    st.sampled_from([0, 1]),
    st.sampled_from([b"", OWNER_MARK]),
)
some_rules = st.lists(rules, max_size=12)


@given(some_rules)
def test_a_list_has_its_rules_in_their_order(some: list[Rule]) -> None:
    found = RuleList(some)
    assert list(found) == some
    assert all(isinstance(rule, Rule) for rule in found)
    assert len(found) == len(some)
    assert bool(found) == bool(some)
    assert [found[at] for at in range(-len(some), len(some))] == some * 2
    assert list(found[1:-1]) == some[1:-1]
    assert all(rule in found for rule in some)


@given(some_rules, st.permutations(range(12)))
def test_lists_are_equal_if_their_rules_are_in_the_same_order(
    some: list[Rule], order: list[int]
) -> None:
    other = [some[at] for at in order if at < len(some)]
    assert (RuleList(some) == RuleList(other)) == (some == other)
    assert RuleList(some) == RuleList(iter(some))
    assert hash(RuleList(some)) == hash(RuleList(iter(some)))
    assert RuleList(some) != [*some]
