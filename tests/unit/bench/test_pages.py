"""The pages' tables and pictures are written from results; every figure they quote is measured."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import on_host, pages
from bench.figures import Figure
from tools.common.checkout import ROOT

TABLE = re.compile("written by bench -->.*?<!-- end -->", re.DOTALL)
PERCENTILES = {"p50": 1e-4, "p99": 2e-4, "p99.9": 3e-4}


class FakeTestbed:
    name = "fake"
    docker_host = "unix:///nowhere"


@contextmanager
def fake_testbed() -> Iterator[FakeTestbed]:
    yield FakeTestbed()


class FakeHost:
    """Returns plausible results of each task."""

    def __init__(self, _: FakeTestbed) -> None:
        pass

    def run(self, task: str, **arguments: Any) -> Any:
        result = getattr(self, task)(**arguments)
        return json.loads(json.dumps(result))

    def joins_by_process(self, at: list[int], **_: Any) -> Any:
        return {n: {"seconds": n * 0.1, "rules": 4 * n, "link": 0.1, "rule": 0.02} for n in at}

    def joins(self, members: int, **_: Any) -> Any:
        work = {"seconds": 0.001, "wakeups": 1.0, "memory": 36_000}
        return {
            "joined": [0.01] * members, "left": [0.02] * members, "restored": 1.0, "rules": 20_200,
            "latencies": {"rest": [0.002, 0.003], "busy": [0.004]},
            "idle": work, "idle without probe": work,
        }  # fmt: skip

    def large_bus(self, sizes: list[int]) -> Any:
        members = sizes[-1]
        return {
            "joined": [0.03] * members, "left": [0.03] * members, "restored": 9.0,
            "rules": 2 * members * (members + 1), "received": members - 1,
            "memory": {str(size): 30_000 + 7 * size for size in (1, *sizes)},
        }  # fmt: skip

    def among_foreign(self, **_: Any) -> Any:
        suffixes = ("", " among foreign")
        return {f"{verb}{suffix}": [0.05] for verb in ("start", "stop") for suffix in suffixes}

    def at_once(self, **_: Any) -> Any:
        return {"alone": [0.05], "together": [0.4]}

    def flushes(self, times: int, **_: Any) -> Any:
        return [0.5] * times

    def frames(self, sizes: list[int], **_: Any) -> Any:
        flood = {"evaluations": 4, "seconds": 1e-5, "delivered": 1}
        return {size: {"own": [flood], "other": [flood]} for size in sizes}

    def losses(self, sizes: list[int], rates: list[int]) -> Any:
        run = {"sent": 9, "received": 9, "socket": 0, "backlog": 0, "requested": 1, "reached": 2.5}
        return {size: [run] * (2 + len(rates)) for size in sizes}

    def delays(self, sizes: list[int], **_: Any) -> Any:
        return dict.fromkeys(("vcan", "pair", *map(str, sizes)), PERCENTILES)

    def limits(self, lists: list[int], times: int, **_: Any) -> Any:
        names = [
            "none",
            *(f"a list of {size} {bits}-bit ids" for size in lists for bits in (11, 29)),
        ]
        return {name: [1e-5] * times for name in [*names, "a rate", "a list that denies the frame"]}

    def order(self, frames: int, **_: Any) -> Any:
        return {"bus, moving sender": {"sent": frames, "received": frames, "late": 3}}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return what a full run measures, with the speed of a fake host."""
    monkeypatch.setattr(on_host, "choose", fake_testbed)
    monkeypatch.setattr(on_host, "Host", FakeHost)
    elsewhere = [
        Figure(group="g", name=name, unit=unit, samples=[30.0])
        for name, unit in (
            ("from exec to the first answer", "ms"),
            ("resident memory, idle", "MB"),
            ("root file system, uncompressed", "MB"),
            ("observe and plan, per rule, 10 members", "us"),
        )
    ]
    elsewhere[-1] = Figure(group="turn", name=elsewhere[-1].name, unit="us", samples=[1.0, 2.0])
    return [*elsewhere, *on_host.members(quick=False), *on_host.frames(quick=False)]


def written(folder: Path, figures: list[Figure], **changes: object) -> Path:
    """Write results, and the pages of a checkout."""
    for page in ("docs/performance.md", "bench/NOTES.md"):
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, folder / page)
    (folder / "docs/benchmarks").mkdir()
    document = {"version": "9.9.9", "quick": False, "figures": [one.as_json() for one in figures]}
    results = folder / "results.json"
    results.write_text(json.dumps({**document, **changes}))
    return results


def test_tables_and_pictures_are_written_and_everything_else_stays(
    tmp_path: Path, figures: list[Figure]
) -> None:
    results = written(tmp_path, figures)
    pages.write(results, tmp_path)
    page = (tmp_path / "docs/performance.md").read_text()
    assert "answer for 9.9.9" in page
    assert "10 ms as the 2nd container on the bus" in page
    assert "With 10 containers half of them within 100 µs and 999 of 1,000 within 300 µs" in page
    assert "(benchmarks/9.9.9-containers.svg)" in page
    assert "| a list of 500 29-bit ids | 10 µs | 1.00 |" in page
    original = (ROOT / "docs/performance.md").read_text()
    assert TABLE.split(page) == TABLE.split(original)
    notes = (tmp_path / "bench/NOTES.md").read_text()
    assert "| container start as member 300 |" in notes
    names = {path.name for path in (tmp_path / "docs/benchmarks").iterdir()}
    assert names == {"9.9.9.json", "9.9.9.svg", "9.9.9-frames.svg", "9.9.9-containers.svg"}
    pages.write(tmp_path / "docs/benchmarks/9.9.9.json", tmp_path)
    assert (tmp_path / "docs/performance.md").read_text() == page


def test_figures_that_are_missing_are_named(tmp_path: Path, figures: list[Figure]) -> None:
    results = written(tmp_path, [one for one in figures if one.group != "repair"])
    with pytest.raises(SystemExit, match="no figure 'rules flushed until all are added again"):
        pages.write(results, tmp_path)


@pytest.mark.parametrize(
    ("missed", "answer"),
    [
        (0, "Tested with 300: each frame reached every container once"),
        (7, "Tested with 300, without success (members that did not receive a frame once, 300"),
    ],
)
def test_the_largest_bus_is_described_as_it_was_measured(
    tmp_path: Path, figures: list[Figure], missed: int, answer: str
) -> None:
    name = "members that did not receive a frame once, 300 members"
    figures = [
        dataclasses.replace(one, samples=[missed]) if one.name == name else one for one in figures
    ]
    pages.write(written(tmp_path, figures), tmp_path)
    assert f"| {answer}" in (tmp_path / "docs/performance.md").read_text()


def test_without_a_large_bus_nothing_is_written(tmp_path: Path, figures: list[Figure]) -> None:
    results = written(tmp_path, [one for one in figures if one.group != "large"])
    with pytest.raises(SystemExit, match="no figure of a large bus"):
        pages.write(results, tmp_path)


def test_a_quick_run_is_no_result(tmp_path: Path, figures: list[Figure]) -> None:
    with pytest.raises(SystemExit, match="quick run"):
        pages.write(written(tmp_path, figures, quick=True), tmp_path)


def test_budgets_are_kept_or_missed_by_what_was_measured(figures: list[Figure]) -> None:
    met = {figure.name: figure.met for figure in figures if figure.budget is not None}
    assert met["container start as member 30"]
    assert met["container start as member 100"]
    assert met["memory per member, 200 members"]
    assert met["members that did not receive a frame once, 300 members"]
    assert met["rules flushed until all are added again, worst of 10, 30 members"]
    assert met["30 containers started at once"] is False
