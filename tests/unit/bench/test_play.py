"""The benchmark of ``evercan play``: it plays real frames, and judges them by their budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.play import play, play_figures, programs

GOOD = {"sent": 100, "received": 100, "disordered": 0, "p50": 1e-4, "p99": 9e-4, "p99.9": 1e-2}


def test_each_program_plays_all_frames_and_is_judged(tmp_path: Path) -> None:
    for _, program in programs(tmp_path):
        judged = play(program, 500, 1, tmp_path)
        assert (judged["sent"], judged["received"], judged["disordered"]) == (500, 500, 0)
        assert 0 < judged["p50"] <= judged["p99"] <= judged["p99.9"] < 5


@pytest.mark.parametrize("wrong", [{"received": 99}, {"disordered": 1}, {"p99": 0.0011}])
def test_a_frame_that_is_missing_or_late_is_beyond_the_budget(wrong: dict[str, float]) -> None:
    assert False not in [figure.met for figure in play_figures("here", [GOOD])]
    assert False in [figure.met for figure in play_figures("here", [{**GOOD, **wrong}])]
