"""All can-gw rules of a host, in four bytes each.

A bus of N members has 2·N·(N + 1) rules. As objects they take some hundred bytes each. A
table keeps those that differ only in their source as one array of sources, and whoever
compares it with what a bus needs compares arrays.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import groupby, repeat
from operator import itemgetter

from evercan.model.rule import Rule

Group = tuple[int, int, int, bytes]
"""What the rules of one array have in common: target, flags, hops and extras."""

INDEXES = "I"
"""The type code of an array of ifindexes."""

_NO_SOURCES = array(INDEXES)


class RuleTable(Mapping[Rule, int]):  # noqa: PLW1641 - as no mapping, it has no hash
    """A multiset of rules: how often each exists. It is never changed.

    As of a ``Counter``, its length is the number of rules that differ, and a rule that it
    does not have exists 0 times.
    """

    __slots__ = ("_groups",)

    def __init__(self, groups: dict[Group, array[int]] | None = None) -> None:
        """Take the rules out of groups, so that they are in memory only once.

        Args:
            groups: the sources of each group, in any order; one that is there twice is two
                rules. It is empty afterwards; nobody may change the arrays.
        """
        self._groups: dict[Group, array[int]] = {}
        groups = {} if groups is None else groups
        former = _NO_SOURCES
        for group in sorted(groups):
            given = groups.pop(group)
            sources = array(INDEXES, sorted(given))
            if sources == given:
                sources = given  # which somebody else may have, too
            # The classic and the FD rules to a member are neighbours and have the same sources.
            former = former if sources == former else sources
            if former:
                self._groups[group] = former

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> RuleTable:
        """Make a table of rules, or of a mapping that says how often each exists."""
        groups: dict[Group, array[int]] = {}
        counted = rules.items() if isinstance(rules, Mapping) else zip(rules, repeat(1))
        for rule, times in counted:
            sources = groups.setdefault(rule[1:], array(INDEXES))
            sources.extend(repeat(rule.source, times))
        return cls(groups)

    def __getitem__(self, rule: Rule) -> int:
        """Return how often a rule exists."""
        sources = self.sources(rule[1:])
        at = bisect_left(sources, rule.source)
        if at == len(sources) or sources[at] != rule.source:
            return 0
        return bisect_right(sources, rule.source, at) - at

    def __contains__(self, rule: object) -> bool:
        """Whether a rule exists."""
        return isinstance(rule, Rule) and self[rule] > 0

    def __iter__(self) -> Iterator[Rule]:
        """Yield each rule one time, by target, flags, hops, extras and source."""
        return map(itemgetter(0), self._counted(self._groups))

    def __len__(self) -> int:
        """Return how many rules differ."""
        return sum(len(set(sources)) for sources in self._groups.values())

    def __eq__(self, other: object) -> bool:
        """Whether two tables, or a table and another mapping, have the same rules as often."""
        if isinstance(other, RuleTable):
            return self._groups == other._groups
        return super().__eq__(other)

    def __repr__(self) -> str:
        """Show the rules as a counter does."""
        return f"{type(self).__name__}.of({dict(self)!r})"

    def total(self) -> int:
        """Return how many rules there are, each as often as it exists."""
        return sum(map(len, self._groups.values()))

    def sources(self, group: Group) -> array[int]:
        """Return the sources of a group in order, each as often as its rule exists.

        Nobody may change the array.
        """
        return self._groups.get(group, _NO_SOURCES)

    def of_group(self, group: Group) -> Iterator[tuple[Rule, int]]:
        """Yield the rules of a group, and how often each exists."""
        return self._counted([group])

    def groups(self) -> Iterable[Group]:
        """Return the groups that have rules, in order."""
        return self._groups.keys()

    def among(self, sources: Container[int], targets: Container[int]) -> Iterator[tuple[Rule, int]]:
        """Yield the rules from some interfaces to some others, and how often each exists."""
        groups = (group for group in self._groups if group[0] in targets)
        return (found for found in self._counted(groups) if found[0].source in sources)

    def with_extras(self, extras: bytes) -> Iterator[Rule]:
        """Yield the rules that have these extras, each one time."""
        groups = (group for group in self._groups if group[3] == extras)
        return map(itemgetter(0), self._counted(groups))

    def _counted(self, groups: Iterable[Group]) -> Iterator[tuple[Rule, int]]:
        for group in groups:
            for source, same in groupby(self._groups[group]):
                yield Rule(source, *group), sum(1 for _ in same)
