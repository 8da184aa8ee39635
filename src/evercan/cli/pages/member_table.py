"""Draw the table of a network's members in ``evercan watch``: as many columns as fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.style import Style
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.terminal import member_sign, member_state
from evercan.cli.views import words
from evercan.cli.views.overview import MemberView, NetworkView
from evercan.cli.views.rates import Rates

_BAR = 8
"""Columns of the bar beside a member's rate."""

_NAME = 14
"""Columns for a long name, at least; a third of the width if that is more."""

_WITH_INTERFACE = 100
"""Width from which on the interface on the host is shown."""

_LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("host", "state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "dropped"),
    ("state", "sent/s", "recv/s", "dropped"),
    ("state", "sent/s", "dropped"),
    ("state", "sent/s"),
    # The state's word may be long: the sign replaces it, and the problem is shown in a line below.
    ("sign", "sent/s", "recv/s", "dropped"),
    ("sign", "sent/s", "recv/s"),
    ("sign", "sent/s"),
    ("sign",),
)
"""Columns beside a member's name, from wide to narrow: the least important go first."""

_IN_SHORT = {"sent": "about sent", "dropped": "about dropped"}
"""Counters, and the rounded ones that replace them where they do not fit."""


_SELECTED = "selected"


def shortened(name: str, width: int) -> str:
    """Cut a name in its middle, since long names often have equal beginnings."""
    if len(name) <= width:
        return name
    end = (width - 1) // 3
    return f"{name[: max(0, width - 1 - end)]}…{name[len(name) - end :]}"


@dataclass(frozen=True)
class _Column:
    """A column as wide as its widest cell: rich would cut 12,345,678 to 12,345."""

    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(*map(len, self.title.split("\n")), *(cell.cell_len for cell in self.cells))


def ordered(network: NetworkView, rates: Rates, *, by_rate: bool) -> list[MemberView]:
    """Return a network's members in the order in which they are drawn."""
    members = list(network.members)
    if by_rate:
        members.sort(key=lambda member: -(rates.sent.get(member.endpoint) or 0.0))
    return members


def selected_style(key: str) -> Style:
    """Return the style of the selected row's name, by which `is_selected` finds it again."""
    return Style(reverse=True, meta={_SELECTED: key})


def is_selected(style: Style | None) -> bool:
    """Whether something was drawn in the style of the selected row."""
    return style is not None and _SELECTED in style.meta


def member_table(
    members: Sequence[MemberView], rates: Rates, width: int, selected: str = ""
) -> Table:
    """Draw members, and the name of the selected one, by its endpoint id, in reverse."""
    room, columns = _fitting(members, rates, width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("container", width=room, no_wrap=True, vertical="bottom")
    for column in columns:
        table.add_column(
            column.title,
            justify=column.justify,
            width=column.width,
            no_wrap=True,
            vertical="bottom",
        )
    names = [
        Text(
            shortened(member.container, room).ljust(room),
            style=selected_style(selected) if member.endpoint == selected else "",
        )
        for member in members
    ]
    for row in zip(names, *(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _fitting(members: Sequence[MemberView], rates: Rates, width: int) -> tuple[int, list[_Column]]:
    """Choose the columns beside the names; return the width that is left for names, and them."""
    longest = max(len(member.container) for member in members)
    wanted = max(len("container"), min(longest, max(_NAME, width // 3)))
    all_of_them = _columns(members, rates)
    room, columns = width, []
    for layout in _layouts(width, limited=any(member.limits for member in members)):
        columns = [all_of_them[column] for column in layout]
        room = width - sum(column.width + 1 for column in columns)
        if room >= wanted:
            break
    return max(1, room), columns


def _layouts(width: int, *, limited: bool) -> Iterator[Sequence[str]]:
    """Yield the layouts, each also with one counter after the other rounded.

    Args:
        width: columns of the terminal.
        limited: there are members with limits, so that there is a column of what was denied.
    """
    for columns in _LAYOUTS if width >= _WITH_INTERFACE else _LAYOUTS[1:]:
        layout = (*columns, "denied") if limited and "dropped" in columns else columns
        yield layout
        for counter, short in _IN_SHORT.items():
            if counter in layout:
                layout = tuple(short if key == counter else key for key in layout)
                yield layout


def _columns(members: Sequence[MemberView], rates: Rates) -> dict[str, _Column]:
    sent = [rates.sent.get(member.endpoint) for member in members]
    received = [rates.received.get(member.endpoint) for member in members]
    top = max((rate or 0.0 for rate in sent), default=0.0)

    def numbers(title: str, texts: Iterable[str], styles: Iterable[str]) -> _Column:
        cells = [Text(*cell) for cell in zip(texts, styles, strict=True)]
        return _Column(title, cells, "right")

    busy = ["bold" if rate else "dim" for rate in sent]
    received_style = ["" if rate else "dim" for rate in received]
    lost = ["yellow" if member.dropped else "dim" for member in members]
    dim = ["dim"] * len(members)
    return {
        "host": _Column(
            "on the host",
            [Text(member.host_end or words.NOTHING, style="dim") for member in members],
        ),
        "state": _Column("state", [member_state(member) for member in members]),
        "sign": _Column("", [member_sign(member) for member in members]),
        "bar": _Column(
            "", [Text(_bar(rate or 0.0, top).ljust(_BAR), style="green") for rate in sent]
        ),
        "sent/s": numbers("sent/s", map(words.rate, sent), busy),
        "recv/s": numbers("recv/s", map(words.rate, received), received_style),
        "sent": numbers("total\nsent", (words.count(member.sent) for member in members), dim),
        "about sent": numbers(
            "total\nsent", (words.short_count(member.sent) for member in members), dim
        ),
        "dropped": numbers(
            "total\ndropped", (words.count(member.dropped) for member in members), lost
        ),
        "denied": numbers(
            "total\ndenied",
            (words.short_count(member.denied) for member in members),
            ["yellow" if member.denied_sent else "dim" for member in members],
        ),
        "about dropped": numbers(
            "total\ndropped", (words.short_count(member.dropped) for member in members), lost
        ),
    }


def _bar(value: float, top: float) -> str:
    """Draw a bar from the left, in eighths of a column."""
    if top <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / top * _BAR * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
