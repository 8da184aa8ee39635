"""The can-gw rules of one step, in twelve bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from evercan.model.rule import Rule

_INDEXES = "I"
_HASHED = 8
"""So many rules at the beginning tell most lists of one length apart."""


class RuleList(Sequence[Rule]):
    """Rules in an order. It is never changed.

    A step that restores a bus of N members adds 2·N·(N + 1) rules. Their flags, hops and
    extras are kept one time each, and a rule becomes an object when it is asked for.
    """

    __slots__ = ("_kinds", "_number", "_sources", "_targets")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Take rules one after another."""
        sources, targets, kinds = (array(_INDEXES) for _ in range(3))
        number: dict[tuple[int, int, bytes], int] = {}
        for source, target, flags, hops, extras in rules:
            sources.append(source)
            targets.append(target)
            kinds.append(number.setdefault((flags, hops, extras), len(number)))
        self._sources, self._targets, self._kinds = sources, targets, kinds
        self._number = tuple(number)

    def __len__(self) -> int:
        """Return how many rules there are, each as often as it is listed."""
        return len(self._sources)

    def __iter__(self) -> Iterator[Rule]:
        """Yield the rules in their order."""
        columns = zip(self._sources, self._targets, self._kinds, strict=True)
        number = self._number
        return Rule.of((source, target, *number[kind]) for source, target, kind in columns)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, at: int) -> Rule: ...

        @overload
        def __getitem__(self, at: slice) -> RuleList: ...

    def __getitem__(self, at: int | slice) -> Rule | RuleList:
        """Return one rule, or some."""
        if isinstance(at, slice):
            return RuleList(map(self.__getitem__, range(*at.indices(len(self)))))
        return Rule(self._sources[at], self._targets[at], *self._number[self._kinds[at]])

    def __eq__(self, other: object) -> bool:
        """Whether two lists have the same rules in the same order."""
        return isinstance(other, RuleList) and self._columns == other._columns

    def __hash__(self) -> int:
        """Return the same for lists that are equal."""
        first = (column[:_HASHED].tobytes() for column in (self._sources, self._targets))
        return hash((len(self), *first))

    def __repr__(self) -> str:
        """Show the rules."""
        return f"{type(self).__name__}({list(self)!r})"

    @property
    def _columns(self) -> tuple[object, ...]:
        return self._sources, self._targets, self._kinds, self._number
