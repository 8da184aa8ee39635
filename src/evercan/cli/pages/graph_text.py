"""Write buses as text that draws a picture: Mermaid and DOT; no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from evercan.cli.views.overview import Verdict, shown_state
from evercan.cli.views.topology import (
    NOT_RUNNING_STYLE,
    BusView,
    denied_of,
    frames_of,
    style_of,
    unusual_state,
)

_COLOURS: dict[str, str] = {
    Verdict.OK: "#2f9e44",
    Verdict.WARN: "#e8890c",
    Verdict.FAIL: "#e03131",
    NOT_RUNNING_STYLE: "#868e96",
}


def mermaid(shown: Sequence[BusView]) -> str:
    """Write buses as a Mermaid flowchart."""
    return "\n".join(_mermaid(shown)) + "\n"


def _mermaid(shown: Sequence[BusView]) -> Iterator[str]:
    yield "flowchart LR"
    used: set[str] = set()
    for number, bus in enumerate(shown):
        title = _mermaid_text(" + ".join(bus.networks))
        yield f'  subgraph net{number}["{title}"]'
        lines = [bus.interface, bus.caption, shown_state(bus.state), bus.bridged, *bus.notes]
        label = "<br/>".join(_mermaid_text(line) for line in lines if line)
        yield f'    bus{number}(["{label}"]):::{bus.verdict}'
        used.add(bus.verdict)
        for place, (_, member) in enumerate(bus.members):
            lines = [
                member.container,
                unusual_state(member),
                frames_of(member),
                denied_of(member),
                member.link,
            ]
            text = "<br/>".join(_mermaid_text(line) for line in lines if line)
            yield f'    bus{number} --- m{number}_{place}["{text}"]:::{style_of(member)}'
            used.add(style_of(member))
        yield "  end"
    for name, colour in _COLOURS.items():
        if name in used:
            dashes = ",stroke-dasharray: 5 5" if name == NOT_RUNNING_STYLE else ""
            yield f"  classDef {name} stroke:{colour},stroke-width:2px{dashes}"


def _mermaid_text(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")


def dot(shown: Sequence[BusView]) -> str:
    """Write buses as a graph in the DOT language of Graphviz."""
    return "\n".join(_dot(shown)) + "\n"


def _dot(shown: Sequence[BusView]) -> Iterator[str]:
    yield "graph evercan {"
    yield "  rankdir=LR; pad=0.3; nodesep=0.15; ranksep=0.9;"
    yield '  node [fontname="sans-serif", fontsize=11, shape=box, style=rounded, penwidth=1.5];'
    yield '  edge [color="#868e96", penwidth=1.5];'
    for number, bus in enumerate(shown):
        title = " + ".join(bus.networks)
        yield f"  subgraph cluster_{number} {{"
        yield f'    label={_quoted(title)}; fontname="sans-serif"; color="#adb5bd"; style=rounded;'
        label = _quoted(bus.interface, bus.caption, shown_state(bus.state), bus.bridged, *bus.notes)
        style = f'style="rounded,bold", color="{_COLOURS[bus.verdict]}"'
        yield f"    bus{number} [label={label}, {style}];"
        for place, (_, member) in enumerate(bus.members):
            label = _quoted(
                *(member.container, unusual_state(member), frames_of(member)),
                *(denied_of(member), member.link),
            )
            style = f'color="{_COLOURS[style_of(member)]}"'
            if style_of(member) == NOT_RUNNING_STYLE:
                style += ', style="rounded,dashed"'
            yield f"    m{number}_{place} [label={label}, {style}];"
            yield f"    bus{number} -- m{number}_{place};"
        yield "  }"
    yield "}"


def _quoted(*lines: str) -> str:
    # A JSON string is a valid DOT string, except for \u escapes, which are turned off here.
    return json.dumps("\n".join(line for line in lines if line), ensure_ascii=False)
