"""What the can-gw rules of a host have counted, in arrays: 5 to 22 bytes a rule on a large bus."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_table import INDEXES, Group
from evercan.values import NamedTuple

_COUNTERS = len(RuleCount._fields)

PAIRS = "Q"
"""The type code of an array of numbers that are two of ``INDEXES`` each."""

_HIGH = 1 if sys.byteorder == "little" else 0
"""Which half of a number of ``PAIRS`` decides the order."""


def paired(sources: array[int], handled: array[int]) -> array[int]:
    """Make one number of a source and of what its rule has handled; they sort by source."""
    halves = array(INDEXES, bytes(2 * sources.itemsize * len(sources)))
    halves[_HIGH::2], halves[1 - _HIGH :: 2] = sources, handled
    return array(PAIRS, halves.tobytes())


def _unpaired(pairs: array[int]) -> tuple[array[int], array[int]]:
    halves = array(INDEXES, array(PAIRS, sorted(pairs)).tobytes())
    return halves[_HIGH::2], halves[1 - _HIGH :: 2]


class _Counted(NamedTuple):
    """The rules of a group that have counted.

    Attributes:
        sources: their sources.
        columns: a column for each counter, which may end before zeros at its end.
        with_target: the group's target is among the sources too, though it has no rule.
    """

    sources: array[int]
    columns: tuple[array[int], ...]
    with_target: bool = False


def _merged(
    sources: array[int], handled: array[int], others: Iterable[tuple[int, RuleCount]]
) -> tuple[array[int], list[array[int]]]:
    """Merge rules that have only handled frames, by source, with a few others of their group.

    Returns:
        The sources in order, and the columns.
    """
    ends = sources[:]
    columns = [handled, array(INDEXES), array(INDEXES)]
    for source, count in others:
        at = bisect_left(ends, source)
        ends.insert(at, source)
        for column, frames in zip(columns, count, strict=True):
            if at < len(column):
                column.insert(at, frames)
            elif frames:
                column.frombytes(bytes((at - len(column)) * column.itemsize))
                column.append(frames)
    return ends, [column or _EMPTY for column in columns]


_EMPTY = array(INDEXES)
_NOTHING = _Counted(_EMPTY, (_EMPTY,) * _COUNTERS)


class RuleCounts(Iterable[tuple[Rule, RuleCount]]):  # noqa: PLW1641 - as no list, it has no hash
    """Rules with their counters, in no order; a rule that exists twice is there twice.

    As in ``RuleTable``, what rules have in common is kept one time. Few rules drop or
    delete frames, so a column of zeros is not kept. On a bus on which all members have sent
    frames, the sources of every group are all ends but the group's target: these groups share
    one array that has the target, too.
    """

    __slots__ = ("_groups",)

    def __init__(self, counted: Iterable[tuple[Rule, RuleCount]] = ()) -> None:
        """Take rules with their counters."""
        self._groups: dict[Group, _Counted] = {}
        self.extend(counted)

    def extend(self, counted: Iterable[tuple[Rule, RuleCount]]) -> None:
        """Add rules with their counters, while a dump is read."""
        groups = self._groups
        for rule, count in counted:
            group = rule[1:]
            if group not in groups:
                columns = tuple(array(INDEXES) for _ in range(_COUNTERS))
                groups[group] = _Counted(array(INDEXES), columns)
            sources, columns, _ = groups[group]
            for column, frames in zip(columns, count, strict=True):
                if frames:
                    column.frombytes(bytes((len(sources) - len(column)) * column.itemsize))
                    column.append(frames)
            sources.append(rule.source)

    def take_handled(
        self, found: Iterable[tuple[Group, array[int]]]
    ) -> Iterator[tuple[Group, array[int]]]:
        """Add the last rules, which have only handled frames; yield their sources in order.

        Args:
            found: by group, what ``paired`` makes of the rules.
        """
        everybody = _EMPTY
        for group, pairs in found:
            sources, handled = _unpaired(pairs)
            ends, columns = _merged(sources, handled, self.of_group(group))
            target = group[0]
            at = bisect_left(ends, target)
            with_target = ends[at : at + 1] != array(INDEXES, [target])
            if with_target:
                ends = ends[:at] + array(INDEXES, [target]) + ends[at:]
                everybody = ends = everybody if ends == everybody else ends
                columns = [
                    column[:at] + array(INDEXES, [0]) + column[at:] if at < len(column) else column
                    for column in columns
                ]
            self._groups[group] = _Counted(ends, tuple(columns), with_target)
            yield group, sources

    def __iter__(self) -> Iterator[tuple[Rule, RuleCount]]:
        """Yield each rule with its counters."""
        for group in self._groups:
            for source, count in self.of_group(group):
                yield Rule(source, *group), count

    def __len__(self) -> int:
        """Return how many rules there are, each as often as it is listed."""
        return sum(1 for _ in self)

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
        sources, columns, with_target = self._groups.get(group, _NOTHING)
        filled = (chain(column, repeat(0)) for column in columns)
        found = zip(sources, RuleCount.of(zip(*filled, strict=False)), strict=False)
        if with_target:
            return ((source, count) for source, count in found if source != group[0])
        return found

    def columns(self, group: Group) -> tuple[array[int], Sequence[array[int]]]:
        """Return the sources of a group's rules, and their counters as columns.

        A column ends at the last counter that is not 0. The target may be among the sources,
        with counters that are 0, though it has no rule. Nobody may change the arrays.
        """
        return self._groups.get(group, _NOTHING)[:2]
