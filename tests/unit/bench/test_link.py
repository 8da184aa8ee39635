"""The benchmark of the link: it measures real frames, and judges them by their budgets."""

from __future__ import annotations

import pytest

from bench import link
from bench.figures import Figure
from bench.link import Run, delay_figures, rate_figures


def run(milliseconds: float, **changes: float) -> Run:
    """Return a run whose frames all had the same delay."""
    delays = dict.fromkeys(("p50", "p99", "p99.9"), milliseconds / 1e3)
    values = {"reached": 20_000, "sent": 100, "received": 100, "disordered": 0, "processor": 0.1}
    return Run(**{**values, **changes}, delays=delays)  # type: ignore[arg-type]


def verdicts(figures: list[Figure]) -> dict[str, bool | None]:
    """Return whether each figure is within its budget."""
    return {figure.name: figure.met for figure in figures}


@pytest.mark.parametrize("delay", [0.0, 0.005])
def test_frames_cross_links_and_forwarders_and_are_measured(delay: float) -> None:
    # On a busy machine frames are later than the usual deadline, and are dropped.
    with link.linked(delay, deadline="5000") as over_links, link.forwarded(delay) as bare:
        for way in (over_links, bare):
            measured = way.run(500, 1)
            assert (measured.sent, measured.received, measured.disordered) == (500, 500, 0)
            assert delay < measured.delays["p50"] <= measured.delays["p99"] < 5
            assert measured.processor > 0
            assert all(2 < size < 200 for size in way.memory())


def test_the_delay_that_a_link_adds_has_a_budget() -> None:
    within = verdicts(delay_figures("here", [(run(0.7), run(0.3))] * 3))
    assert within["delay at 8,000 frames/s, here, p50, more than over the forwarder"] is True
    beyond = verdicts(delay_figures("here", [(run(2.5), run(0.3))] * 3))
    assert beyond["delay at 8,000 frames/s, here, p50, more than over the forwarder"] is False
    assert beyond["delay at 8,000 frames/s, here, p99, more than over the forwarder"] is False
    assert beyond["delay at 8,000 frames/s, here, p99.9, more than over the forwarder"] is None


@pytest.mark.parametrize("changes", [{"received": 99}, {"disordered": 1}])
def test_a_frame_that_is_lost_or_disordered_is_beyond_the_budget(changes: dict[str, int]) -> None:
    bad = run(1, **changes)
    assert False in verdicts(delay_figures("here", [(bad, run(1))])).values()
    judged = rate_figures([bad, run(1, reached=30_000)], [run(1)])
    assert judged[0].met is False
    assert judged[2].median == 30_000


def test_a_rate_that_is_not_reached_is_beyond_the_budget() -> None:
    assert rate_figures([run(1, reached=19_000)], [run(1)])[1].met is False
