"""What the can-gw rules of a host have counted, in arrays: 9 to 22 bytes a rule on a large bus."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_table import INDEXES, Group

_COUNTERS = len(RuleCount._fields)


class RuleCounts(Iterable[tuple[Rule, RuleCount]]):  # noqa: PLW1641 - as no list, it has no hash
    """Rules with their counters, in no order; a rule that exists twice is there twice.

    As in ``RuleTable``, what rules have in common is kept one time. Few rules drop or
    delete frames, so a column of zeros is not kept.
    """

    __slots__ = ("_groups",)

    def __init__(self, counted: Iterable[tuple[Rule, RuleCount]] = ()) -> None:
        """Take rules with their counters."""
        self._groups: dict[Group, tuple[array[int], list[array[int]]]] = {}
        self.extend(counted)

    def extend(self, counted: Iterable[tuple[Rule, RuleCount]]) -> None:
        """Add rules with their counters, while a dump is read."""
        groups = self._groups
        for rule, count in counted:
            group = rule[1:]
            if group not in groups:
                groups[group] = array(INDEXES), [array(INDEXES) for _ in range(_COUNTERS)]
            sources, columns = groups[group]
            for column, frames in zip(columns, count, strict=True):
                if frames:
                    column.frombytes(bytes((len(sources) - len(column)) * column.itemsize))
                    column.append(frames)
            sources.append(rule.source)

    def __iter__(self) -> Iterator[tuple[Rule, RuleCount]]:
        """Yield each rule with its counters."""
        for group in self._groups:
            for source, count in self.of_group(group):
                yield Rule(source, *group), count

    def __len__(self) -> int:
        """Return how many rules there are, each as often as it is listed."""
        return sum(len(sources) for sources, _ in self._groups.values())

    def __eq__(self, other: object) -> bool:
        """Whether two have the same rules in the same order."""
        return isinstance(other, RuleCounts) and self._groups == other._groups

    def __repr__(self) -> str:
        """Show the rules with their counters."""
        return f"{type(self).__name__}({list(self)!r})"

    def groups(self) -> Iterable[Group]:
        """Return the groups that have rules."""
        return self._groups.keys()

    def of_group(self, group: Group) -> Iterator[tuple[int, RuleCount]]:
        """Yield the sources of a group's rules, with their counters."""
        if group not in self._groups:
            return iter(())
        sources, columns = self._groups[group]
        filled = (chain(column, repeat(0)) for column in columns)
        return zip(sources, RuleCount.of(zip(*filled, strict=False)), strict=False)
