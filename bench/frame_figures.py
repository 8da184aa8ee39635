"""The figures of frames, from what the tasks on a testbed's host have measured; pure."""

from __future__ import annotations

from bench.figures import Figure
from evercan.cli.views.bits import bits_of_text


def floods(flooded: dict[str, dict[str, list[dict[str, float]]]]) -> list[Figure]:
    """Return the figures of the task ``frames``."""
    figures = []
    for size, floods in flooded.items():
        own, other = floods["own"], floods["other"]
        for what, field, unit, scale in (
            ("rule evaluations", "evaluations", "rules", 1.0),
            ("time", "seconds", "us", 1e6),
        ):
            figures.append(
                Figure(
                    group="frames", name=f"{what} per frame, {size} members", unit=unit,
                    samples=[flood[field] * scale for flood in own],
                    against="rule flags of older plugins",
                    reference=[flood[field] * scale for flood in other], budget=1.0,
                    note=f"deliveries: {min(flood['delivered'] for flood in own):.2f}",
                )
            )  # fmt: skip
    return figures


def losses(lost: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Return the figures of the task ``losses``."""
    figures: list[Figure] = []
    for size, (unread, flood, *paced) in lost.items():
        flooded = f"a burst at {flood['reached']:,.0f} frames/s"
        complete = [run for run in paced if run["received"] == run["sent"]]
        at = f"{size} members"
        figures += [
            Figure(
                group="frames", name=f"unread frames that a socket holds, {at}", unit="frames",
                samples=[unread["received"]], note=_where(unread),
            ),
            Figure(
                group="frames", name=f"received of {flooded}, {at}", unit="%",
                samples=[100 * flood["received"] / flood["sent"]],
                note=_where(flood),
            ),
            Figure(
                group="frames", name=f"highest tested rate without loss, {at}",
                unit="frames/s", samples=[max((run["reached"] for run in complete), default=0.0)],
                note="; ".join(
                    f"{run['requested']:,.0f} requested, {run['reached']:,.0f} sent: {_where(run)}"
                    for run in paced
                ),
            ),
        ]  # fmt: skip
    return figures


def _where(run: dict[str, float]) -> str:
    """Describe where frames were lost."""
    missing = run["sent"] - run["received"]
    if not missing:
        return "none lost"
    return (
        f"{missing:,.0f} of {run['sent']:,.0f} lost, {run['socket']:,.0f} of them in the "
        f"receiving socket, {run['backlog']:,.0f} packets in the host's backlog"
    )


def delays(delayed: dict[str, dict[str, float]]) -> list[Figure]:
    """Return the figures of the task ``delays``."""
    vcan, pair = delayed.pop("vcan"), delayed.pop("pair")
    figures = [_delay("one vxcan pair and one rule", pair, "one vcan", vcan, part) for part in vcan]
    for size, bus in delayed.items():
        name = f"from container to container, {size} members"
        figures += [_delay(name, bus, "one vxcan pair and one rule", pair, part) for part in bus]
    return figures


def _delay(
    name: str, measured: dict[str, float], against: str, reference: dict[str, float], part: str
) -> Figure:
    return Figure(
        group="delay", name=f"delay of a frame, {name}, {part}", unit="us",
        samples=[measured[part] * 1e6], against=against, reference=[reference[part] * 1e6],
    )  # fmt: skip


LIMITS = "time per frame, limits of the sender: "
"""How the names of the figures of limits begin."""


def limits(taken: dict[str, list[float]]) -> list[Figure]:
    """Return the figures of the task ``limits``."""
    unlimited = [seconds * 1e6 for seconds in taken["none"]]
    return [
        Figure(
            group="limits", name=f"{LIMITS}{name}", unit="us",
            samples=[one * 1e6 for one in seconds],
            against="" if name == "none" else "no limits",
            reference=() if name == "none" else unlimited,
        )
        for name, seconds in taken.items()
    ]  # fmt: skip


def order(found: dict[str, dict[str, int]]) -> list[Figure]:
    """Return the figures of the task ``order``."""
    return [
        Figure(
            group="order", name=f"frames overtaken under load, {path}", unit="frames",
            samples=[run["late"]], note=f"of {run['received']:,} received, {run['sent']:,} sent",
        )
        for path, run in found.items()
    ]  # fmt: skip


PAYLOADS = {"": "no payload", "6576657263616E21": "8 bytes"}
"""Payloads of frames on virtual buses with a bitrate, in hex digits, and their names."""


def wires(taken: dict[str, dict[str, list[float]]], frames: int) -> list[Figure]:
    """Return the figures of the task ``wires``; the reference is the time of their bits."""
    return [
        Figure(
            group="wires", name=f"{frames:,} frames with {PAYLOADS[payload]} at {bitrate} bit/s",
            unit="s", samples=spans, against="their bits on a wire",
            reference=[(frames - 1) * bits_of_text(f"123#{payload}").seconds(int(bitrate))],
            budget=1.1,
        )
        for bitrate, by_payload in taken.items()
        for payload, spans in by_payload.items()
    ]  # fmt: skip
