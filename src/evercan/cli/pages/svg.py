"""Draw buses as an SVG picture; no I/O.

A bus is a line with its interface at the head, and members above and below it. A long
line continues in the next row, in the other direction. A picture has at most six
columns, to be legible on paper too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from evercan.cli.pages.lettering import distinct, shortened, width
from evercan.cli.views import words
from evercan.cli.views.overview import MemberView, Verdict, shown_state
from evercan.cli.views.topology import (
    NOT_RUNNING_STYLE,
    BusView,
    denied_of,
    style_of,
    unusual_state,
)

_COLUMNS = 6
_BOX_W, _BOX_H, _GAP = 170, 60, 14
_HEAD_W, _HEAD_H, _SPEED_H = 186, 78, 18
_STUB = 22
_MARGIN = 28
_TITLE, _TITLE_LINE, _NOTE_LINE = 34, 22, 18
_PITCH = 2 * (_BOX_H + _STUB) + 22
_LEFT = _MARGIN + _HEAD_W + 40
_TURN = 20
_INDENT, _RIM = 14, 8
"""Free space in a box beside its text, left and right."""

_STYLE = """
text { font: 12px Inter, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif; }
.title { font-size: 17px; font-weight: 600; } .name { font-size: 13px; font-weight: 600; }
.mono { font-family: 'JetBrains Mono', 'DejaVu Sans Mono', Consolas, monospace; font-size: 11px; }
.paper { fill: #ffffff; } .ink { fill: #1f2933; } .soft { fill: #64748b; }
.card { fill: #f8fafc; stroke: #cbd5e1; } .head { fill: #eef2f7; }
.wire { stroke: #475569; stroke-width: 4; fill: none; stroke-linecap: round; }
.knot { fill: #475569; }
.ok { stroke: #2f9e44; } .warn { stroke: #d9820b; } .fail { stroke: #dc2f2f; }
.ok-fill { fill: #2f9e44; } .warn-fill { fill: #b86e00; } .fail-fill { fill: #dc2f2f; }
.rest { stroke: #94a3b8; } .rest-fill { fill: #94a3b8; }
@media (prefers-color-scheme: dark) {
.paper { fill: #14181f; } .ink { fill: #e5e9f0; } .soft { fill: #94a3b8; }
.card { fill: #1e2530; stroke: #3b4656; } .head { fill: #273142; }
.wire { stroke: #94a3b8; } .knot { fill: #94a3b8; } }
"""


@dataclass(frozen=True)
class _Row:
    """A row of a bus: its vertical position and its members."""

    y: int
    members: Sequence[MemberView]
    backwards: bool

    @property
    def columns(self) -> int:
        return (len(self.members) + 1) // 2


@dataclass(frozen=True)
class _Place:
    """A bus's position in the picture: its top, the lines of its title, its rows, its width."""

    bus: BusView
    top: int
    title: Sequence[str]
    rows: Sequence[_Row]
    room: int

    @property
    def columns(self) -> int:
        return max(row.columns for row in self.rows)


def svg(shown: Sequence[BusView]) -> str:
    """Draw buses, one below the other."""
    columns = max((row.columns for bus in shown for row in _rows(bus, 0)), default=0)
    across = _LEFT + max(columns, 2) * (_BOX_W + _GAP) + _TURN + _MARGIN
    places = []
    y = _MARGIN
    for bus in shown:
        title = _title(bus, across - 2 * _MARGIN)
        notes = len(_notes(bus)) * _NOTE_LINE
        rows = _rows(bus, y + _TITLE + (len(title) - 1) * _TITLE_LINE + notes)
        places.append(_Place(bus, y, title, rows, across - 2 * _MARGIN))
        y = rows[-1].y + _below(bus, rows[-1]) + _MARGIN + 8
    height = max(y, 120)
    picture = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=str(across),
        height=str(height),
        viewBox=f"0 0 {across} {height}",
        role="img",
    )
    ET.SubElement(picture, "title").text = "CAN buses and their members"
    ET.SubElement(picture, "style").text = _STYLE
    _shape(picture, "rect", "paper", width=across, height=height)
    for place in places:
        _draw_bus(picture, place)
    if not shown:
        _text(picture, _MARGIN, 64, "No CAN network yet", "title ink")
    ET.indent(picture)
    return ET.tostring(picture, encoding="unicode") + "\n"


def _title(bus: BusView, room: int) -> list[str]:
    """Break the networks' names into lines; the last has room for the number of members."""
    joined = [shortened(network, 17, room - width(" +", 17)) for network in bus.networks]
    lines = [""]
    for part in [*(f"{name} +" for name in joined[:-1]), joined[-1]]:
        longer = f"{lines[-1]} {part}".lstrip()
        if width(longer, 17) <= room:
            lines[-1] = longer
        else:
            lines.append(part)
    if width(lines[-1], 17) + 10 + width(_count(bus), 12) > room:
        lines.append("")
    return lines


def _count(bus: BusView) -> str:
    return words.number_of(len(bus.members), "member")


def _below(bus: BusView, row: _Row) -> int:
    """Return the height of a row below its line."""
    return _STUB + _BOX_H if len(row.members) > 1 else _head_height(bus) // 2


def _head_height(bus: BusView) -> int:
    """Return the height of a bus's head; a controller's speed needs a line of its own."""
    return _HEAD_H + _SPEED_H if bus.speed else _HEAD_H


def _rows(bus: BusView, top: int) -> list[_Row]:
    """Distribute a bus's members evenly over the rows that they need."""
    members = [member for _, member in bus.members]
    number = max(1, -(-len(members) // (2 * _COLUMNS)))
    in_row = -(-len(members) // number)
    above = _STUB + _BOX_H if members else _head_height(bus) // 2
    return [
        _Row(
            top + above + row * _PITCH,
            members[row * in_row : (row + 1) * in_row],
            backwards=row % 2 == 1,
        )
        for row in range(number)
    ]


def _draw_bus(picture: ET.Element, place: _Place) -> None:
    bus, rows, columns = place.bus, place.rows, place.columns
    _draw_title(picture, place)
    right = _LEFT + max(columns, 1) * (_BOX_W + _GAP)
    path, end = _line(rows, right)
    _shape(picture, "path", "wire", d=path)
    _shape(picture, "circle", "knot", cx=end[0], cy=end[1], r=6)
    containers = [member.container for _, member in bus.members]
    names = dict(zip(containers, distinct(containers, 13, _BOX_W - _INDENT - _RIM), strict=True))
    for row in rows:
        for number, member in enumerate(row.members):
            column = number // 2
            if row.backwards:
                column = columns - 1 - column
            x, name = _LEFT + column * (_BOX_W + _GAP), names[member.container]
            _draw_member(picture, member, name, x, row.y, above=number % 2 == 0)
    if not bus.members:
        _text(picture, _LEFT + 16, rows[0].y - 14, "no container has joined yet", "soft")
    _draw_head(picture, bus, rows[0].y)


def _draw_title(picture: ET.Element, place: _Place) -> None:
    group = ET.SubElement(picture, "g")
    ET.SubElement(group, "title").text = " + ".join(place.bus.networks)
    for number, line in enumerate(place.title):
        title = _text(group, _MARGIN, place.top + 14 + number * _TITLE_LINE, line, "title ink")
    counted = ET.SubElement(title, "tspan", {"class": "soft", "dx": "10" if line else "0"})
    counted.set("style", "font-size: 12px; font-weight: 400")
    counted.text = _count(place.bus)
    first = place.top + 14 + (len(place.title) - 1) * _TITLE_LINE + _NOTE_LINE
    for number, (note, style) in enumerate(_notes(place.bus)):
        noted = ET.SubElement(picture, "g")
        ET.SubElement(noted, "title").text = note
        y = first + number * _NOTE_LINE
        _text(noted, _MARGIN, y, shortened(note, 12, place.room, end=0), style)


def _notes(bus: BusView) -> list[tuple[str, str]]:
    """Return the lines below a bus's title, each with its style."""
    up = all(bridged.verdict is Verdict.OK for bridged in bus.bridge)
    lines = [(bus.bridged, "soft" if up else "fail-fill")] if bus.bridged else []
    return [*lines, *((note, "warn-fill") for note in bus.notes)]


def _line(rows: Sequence[_Row], right: int) -> tuple[str, tuple[int, int]]:
    """Draw the line through all rows; return its path and its end point."""
    left, turned = _LEFT - _TURN, right + _TURN - _GAP
    x, y = _MARGIN + _HEAD_W, rows[0].y
    path = f"M {x} {y}"
    for number, row in enumerate(rows):
        last = number == len(rows) - 1
        if last:
            across = max(1, row.columns) * (_BOX_W + _GAP)
            x = right - _GAP - across if row.backwards else _LEFT + across
            path += f" H {x}"
        else:
            x = left if row.backwards else turned
            bend = 10 if not row.backwards else -10
            path += (
                f" H {x - bend} q {bend} 0 {bend} 10 V {rows[number + 1].y - 10} q 0 10 {-bend} 10"
            )
        y = row.y
    return path, (x, y)


def _draw_head(picture: ET.Element, bus: BusView, y: int) -> None:
    group = ET.SubElement(picture, "g")
    about = [f"{bus.interface}: {bus.caption}, {shown_state(bus.state)}", bus.bridged]
    ET.SubElement(group, "title").text = "\n".join(filter(None, about))
    height = _head_height(bus)
    top = y - height // 2
    box = {"x": _MARGIN, "y": top, "width": _HEAD_W, "height": height, "rx": 12}
    _shape(group, "rect", f"head {bus.verdict}", **box, stroke_width=2)
    x, room = _MARGIN + _INDENT, _HEAD_W - _INDENT - _RIM
    _text(group, x, top + 27, bus.interface, "name ink mono").set("style", "font-size: 15px")
    _text(group, x, top + 47, shortened(bus.kind, 12, room), "soft")
    if bus.speed:
        _text(group, x, top + 64, bus.speed, "soft")
    state = shortened(shown_state(bus.state), 12, room)
    _text(group, x, top + height - 14, state, f"{bus.verdict}-fill")


def _draw_member(
    picture: ET.Element, member: MemberView, name: str, x: int, line: int, *, above: bool
) -> None:
    group = ET.SubElement(picture, "g")
    lines = [member.container, member.host_end, shown_state(member.state)]
    lines += [member.limits, denied_of(member), member.link]
    for problem in (*member.problems, *member.warnings):
        lines += [problem.text, problem.remedy]
    ET.SubElement(group, "title").text = "\n".join(filter(None, lines))
    top = line - _STUB - _BOX_H if above else line + _STUB
    middle = x + _BOX_W // 2
    near = top + _BOX_H if above else top
    style, state = style_of(member), unusual_state(member)
    connected = style in (Verdict.OK, Verdict.WARN) and member.host_end
    wire = {} if connected else {"stroke_dasharray": "4 5"}
    rim = {"stroke_dasharray": "4 4"} if style == NOT_RUNNING_STYLE else {}
    _shape(group, "path", style, d=f"M {middle} {line} V {near}", stroke_width=2.5, **wire)
    _shape(group, "circle", "knot", cx=middle, cy=line, r=4.5)
    _shape(group, "rect", "card", x=x, y=top, width=_BOX_W, height=_BOX_H, rx=8, **rim)
    _shape(group, "rect", f"{style}-fill", x=x, y=top + 10, width=4, height=_BOX_H - 20, rx=2)
    left, room = x + _INDENT, _BOX_W - _INDENT - _RIM
    _text(group, left, top + 20, name, "name soft" if style == NOT_RUNNING_STYLE else "name ink")
    if state or not member.host_end:
        colour = "soft" if member.verdict is Verdict.OK else f"{member.verdict}-fill"
        _text(group, left, top + 36, shortened(shown_state(member.state), 12, room), colour)
    else:
        _text(group, left, top + 36, member.host_end, "mono soft")
    if member.sent is not None and member.received is not None:
        counts = f"↑ {_short(member.sent)}  ↓ {_short(member.received)}"
        _text(group, left, top + 51, counts, "soft").set("style", "font-size: 11px")


def _short(frames: int) -> str:
    return words.count(frames) if frames < 10_000 else words.rate(frames)


def _shape(parent: ET.Element, tag: str, style: str, **attributes: object) -> ET.Element:
    named = {key.replace("_", "-"): str(value) for key, value in attributes.items()}
    return ET.SubElement(parent, tag, {"class": style, **named})


def _text(parent: ET.Element, x: int, y: int, text: str, style: str) -> ET.Element:
    element = ET.SubElement(parent, "text", {"class": style, "x": str(x), "y": str(y)})
    element.text = text
    return element
