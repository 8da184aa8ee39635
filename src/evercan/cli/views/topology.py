"""Buses and who is on them, and their text in Mermaid and DOT; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evercan.cli.views import words
from evercan.cli.views.overview import AT_REST, MemberView, NetworkView, Verdict, worst


@dataclass(frozen=True)
class Bus:
    """A bus interface: networks that name the same one are one bus.

    Attributes:
        interface: its name; what stands for it if the plugin does not know the network.
        kind: what it is, in a few words.
        speed: a controller's bitrates; empty if it has none.
        state: one word of it.
        verdict: what that word means.
        networks: the names of its networks.
        members: each container, with the network's name.
    """

    interface: str
    kind: str
    speed: str
    state: str
    verdict: Verdict
    networks: tuple[str, ...]
    members: tuple[tuple[str, MemberView], ...]

    @property
    def caption(self) -> str:
        """What it is and how fast, in one line."""
        return ", ".join(filter(None, (self.kind, self.speed)))


def buses(views: Sequence[NetworkView]) -> list[Bus]:
    """Group networks by their bus interface."""
    groups: dict[str, list[NetworkView]] = {}
    for each in views:
        groups.setdefault(each.bus or each.id, []).append(each)
    return [
        Bus(
            group[0].bus or "?",
            _kind(group[0]),
            words.speed(group[0].controller) if group[0].bus else "",
            group[0].state,
            worst([each.bus_verdict for each in group]),
            tuple(each.name for each in group),
            tuple((each.name, member) for each in group for member in each.members),
        )
        for group in groups.values()
    ]


def _kind(network: NetworkView) -> str:
    if not network.bus:
        return "no bus"
    return "CAN controller" if network.kind == "physical" else f"{network.kind} bus"


REST = "rest"
_COLOURS: dict[str, str] = {
    Verdict.OK: "#2f9e44",
    Verdict.WARN: "#e8890c",
    Verdict.FAIL: "#e03131",
    REST: "#868e96",
}


def drawn_as(member: MemberView) -> str:
    """How a member is drawn: by its verdict, but for one whose container does not run."""
    return REST if member.state in AT_REST else member.verdict


def state_of(member: MemberView) -> str:
    """A member's state; empty if it is what a member's should be."""
    return "" if member.state == "joined" else member.state


def frames_of(member: MemberView) -> str:
    """What a member sent and received, in a line; empty if the plugin does not say."""
    if member.sent is None or member.received is None:
        return ""
    return f"{words.count(member.sent)} sent, {words.count(member.received)} received"


def mermaid(shown: Sequence[Bus]) -> str:
    """Write a flowchart in Mermaid's text."""
    return "\n".join(_mermaid(shown)) + "\n"


def _mermaid(shown: Sequence[Bus]) -> Iterator[str]:
    yield "flowchart LR"
    used: set[str] = set()
    for number, bus in enumerate(shown):
        title = _mermaid_text(" + ".join(bus.networks))
        yield f'  subgraph net{number}["{title}"]'
        label = "<br/>".join(map(_mermaid_text, (bus.interface, bus.caption, bus.state)))
        yield f'    bus{number}(["{label}"]):::{bus.verdict}'
        used.add(bus.verdict)
        for place, (_, each) in enumerate(bus.members):
            lines = [each.container, state_of(each), frames_of(each)]
            text = "<br/>".join(_mermaid_text(line) for line in lines if line)
            yield f'    bus{number} --- m{number}_{place}["{text}"]:::{drawn_as(each)}'
            used.add(drawn_as(each))
        yield "  end"
    for name, colour in _COLOURS.items():
        if name in used:
            dashes = ",stroke-dasharray: 5 5" if name == REST else ""
            yield f"  classDef {name} stroke:{colour},stroke-width:2px{dashes}"


def _mermaid_text(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")


def dot(shown: Sequence[Bus]) -> str:
    """Write a graph in Graphviz' language."""
    return "\n".join(_dot(shown)) + "\n"


def _dot(shown: Sequence[Bus]) -> Iterator[str]:
    yield "graph evercan {"
    yield "  rankdir=LR; pad=0.3; nodesep=0.15; ranksep=0.9;"
    yield '  node [fontname="sans-serif", fontsize=11, shape=box, style=rounded, penwidth=1.5];'
    yield '  edge [color="#868e96", penwidth=1.5];'
    for number, bus in enumerate(shown):
        title = " + ".join(bus.networks)
        yield f"  subgraph cluster_{number} {{"
        yield f'    label={_quoted(title)}; fontname="sans-serif"; color="#adb5bd"; style=rounded;'
        yield (
            f"    bus{number} [label={_quoted(bus.interface, bus.caption, bus.state)}, "
            f'style="rounded,bold", color="{_COLOURS[bus.verdict]}"];'
        )
        for place, (_, each) in enumerate(bus.members):
            label = _quoted(each.container, state_of(each), frames_of(each))
            style = f'color="{_COLOURS[drawn_as(each)]}"'
            if drawn_as(each) == REST:
                style += ', style="rounded,dashed"'
            yield f"    m{number}_{place} [label={label}, {style}];"
            yield f"    bus{number} -- m{number}_{place};"
        yield "  }"
    yield "}"


def _quoted(*lines: str) -> str:
    # A JSON string is a quoted DOT string, but for what JSON writes as \u.
    return json.dumps("\n".join(each for each in lines if each), ensure_ascii=False)
