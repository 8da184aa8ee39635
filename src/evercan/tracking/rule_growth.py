"""Tells by how much the counters of can-gw rules have grown between two observations.

A large bus has a hundred thousand rules. Those of a group are compared column by column, in
loops that run in C.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Container, Iterable, Sequence
from itertools import chain, compress, islice, repeat
from operator import add, lt, sub

from evercan.model.rule import RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.model.rule_table import Group
from evercan.values import NamedTuple

_WRAP = 1 << 32
_PLAUSIBLE = 1 << 24
"""Frames between two observations: a counter that fell has wrapped if it grew by no more."""


class Growth(NamedTuple):
    """What rules of one group have counted since an observation.

    Attributes:
        sources: the rules' sources, each one time.
        handled: what each has handled; empty if none has handled any frame.
        dropped: what each has dropped, likewise.
        deleted: what each has deleted, likewise.
    """

    sources: Sequence[int] = ()
    handled: Sequence[int] = ()
    dropped: Sequence[int] = ()
    deleted: Sequence[int] = ()

    def only(self, sources: Container[int]) -> Growth:
        """Return what the rules of some sources have counted."""
        chosen = [source in sources for source in self.sources]
        return Growth(*(list(compress(column, chosen)) for column in self))

    def seen(self) -> Sequence[int]:
        """Return how many frames of its source have run each rule."""
        if self.handled and self.dropped:
            return list(map(add, self.handled, self.dropped))
        return self.handled or self.dropped or [0] * len(self.sources)

    def total(self) -> RuleCount:
        """Return the sums over all rules."""
        return RuleCount(sum(self.handled), sum(self.dropped), sum(self.deleted))

    def of(self, sources: Collection[int]) -> RuleCount:
        """Return the sums over the rules of a few sources."""
        places = [self.sources.index(source) for source in sources if source in self.sources]
        columns = (self.handled, self.dropped, self.deleted)
        return RuleCount(*(sum(column[at] for at in places) if column else 0 for column in columns))


def growth(before: RuleCounts, now: RuleCounts, group: Group) -> Growth | None:
    """Return what the rules of a group have counted since an earlier observation.

    Args:
        before: the earlier observation.
        now: the later one. What is missing in either has counted nothing.
        group: what the rules have in common.

    Returns:
        None if no counter has changed.
    """
    sources, columns = now.columns(group)
    former, former_columns = before.columns(group)
    if sources == former and columns == former_columns:
        return None
    if len({*sources}) < len(sources) or len({*former}) < len(former):
        return _growth_of_copies(before, now, group)
    return Growth(
        sources,
        *(
            _grown(sources, column, former, former_column)
            for column, former_column in zip(columns, former_columns, strict=True)
        ),
    )


def _grown(
    sources: array[int], column: array[int], former: array[int], former_column: array[int]
) -> Sequence[int]:
    """Return by how much the counters of a column have grown, by source."""
    if not former_column:
        return column if len(column) in {0, len(sources)} else list(_filled(column, sources))
    values = list(_filled(column, sources))
    known: Iterable[int] = _filled(former_column, former)
    if sources != former:
        known = map(dict(zip(former, known, strict=True)).get, sources, repeat(0))
    earlier = list(known)
    if any(map(lt, values, earlier)):
        return list(map(_since, earlier, values))
    return list(map(sub, values, earlier))


def _filled(column: array[int], sources: array[int]) -> Sequence[int]:
    """Return a column with the zeros at its end that are left out."""
    if len(column) == len(sources):
        return column
    return list(islice(chain(column, repeat(0)), len(sources)))


def _since(before: int, now: int) -> int:
    if now >= before:
        return now - before
    wrapped = (now - before) % _WRAP
    return wrapped if wrapped < _PLAUSIBLE else now


class _Seen(NamedTuple):
    """A rule's counters at an observation, and how many of its copies had counted frames."""

    copies: int
    total: RuleCount


def _growth_of_copies(before: RuleCounts, now: RuleCounts, group: Group) -> Growth:
    """Return the growth of rules of which some exist more than once."""
    known = _seen(before, group)
    grown = {
        source: _growth_of_one(known.get(source), seen)
        for source, seen in _seen(now, group).items()
    }
    columns = zip(*grown.values(), strict=True)
    return Growth(list(grown), *map(list, columns))


def _seen(counts: RuleCounts, group: Group) -> dict[int, _Seen]:
    """Return by source what the rules of a group have counted."""
    seen: dict[int, _Seen] = {}
    for source, count in counts.of_group(group):
        known = seen.get(source)
        if known is None:
            seen[source] = _Seen(1, count)
        else:
            seen[source] = _Seen(known.copies + 1, RuleCount(*map(add, known.total, count)))
    return seen


def _growth_of_one(before: _Seen | None, now: _Seen) -> RuleCount:
    if before is None:
        return now.total
    if now.copies < before.copies:
        return RuleCount()  # which of the copies went, and what it had counted, is not known
    return RuleCount(*map(_since, before.total, now.total))
