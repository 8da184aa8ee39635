"""The figures of frames, from what the tasks on a testbed's host have measured; pure."""

from __future__ import annotations

from bench.figures import Figure


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


def order(found: dict[str, dict[str, int]]) -> list[Figure]:
    """Return the figures of the task ``order``."""
    return [
        Figure(
            group="order", name=f"frames overtaken under load, {path}", unit="frames",
            samples=[run["late"]], note=f"of {run['received']:,} received, {run['sent']:,} sent",
        )
        for path, run in found.items()
    ]  # fmt: skip
