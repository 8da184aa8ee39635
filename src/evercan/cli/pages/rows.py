"""The rows of ``evercan watch`` that can be selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evercan.cli.pages.member_table import ordered
from evercan.cli.views.overview import MemberView, NetworkView, Overview
from evercan.cli.views.rates import Rates


@dataclass(frozen=True)
class Row:
    """A row that can be selected: a member, or a network without members."""

    network: NetworkView
    member: MemberView | None = None

    @property
    def key(self) -> str:
        """Its endpoint id, or its network id."""
        return self.member.endpoint if self.member else self.network.id


def rows(overviews: Sequence[Overview], rates: Rates, *, by_rate: bool) -> list[Row]:
    """Return the rows in the order in which the page has them."""
    found: list[Row] = []
    for network in (network for overview in overviews for network in overview.networks):
        members = ordered(network, rates, by_rate=by_rate)
        found += [Row(network, member) for member in members] or [Row(network)]
    return found


@dataclass(frozen=True)
class Cursor:
    """Which row is selected.

    Attributes:
        key: its key; empty if there is none.
        place: its place among the rows.
    """

    key: str = ""
    place: int = 0

    def among(self, rows: Sequence[Row]) -> Cursor:
        """Return it among other rows: the same row, or the one that took its place."""
        keys = [row.key for row in rows]
        place = keys.index(self.key) if self.key in keys else min(self.place, len(keys) - 1)
        return Cursor(keys[place], place) if keys else Cursor()

    def moved(self, rows: Sequence[Row], step: int) -> Cursor:
        """Return the cursor some rows further."""
        place = self.among(rows).place + step
        return Cursor("", max(0, min(place, len(rows) - 1))).among(rows)

    def row(self, rows: Sequence[Row]) -> Row | None:
        """Return the row that is selected."""
        return next((row for row in rows if row.key == self.among(rows).key), None)
