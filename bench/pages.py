"""``python -m bench.pages FILE``: writes the tables and pictures of the pages from results.

FILE is what ``python -m bench`` has written. ``docs/benchmarks`` gets a copy and the pictures,
``docs/performance.md`` the answers, and ``bench/NOTES.md`` the table of all figures.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from bench import frame_figures, plot
from bench.figures import Figure, amount, markdown
from tools.common.checkout import ROOT

ANSWERS = "<!-- answers: written by bench -->\n"
FIGURES = "<!-- figures: written by bench -->\n"
LIMITS = "<!-- limits: written by bench -->\n"
_END = "\n<!-- end -->"
_PICTURE = (
    "![Time until the plugin has answered a container's start and stop, by the number of "
    "containers on the bus, on logarithmic axes](benchmarks/{}-containers.svg)"
)
_NAME = re.compile(r"\{(.+?)\}")

QUESTIONS = {
    "How many containers can be on a bus?": (
        "{tested}. There is no fixed limit; the cost grows with the number of containers, see below"
    ),
    "How many frames per second?": (
        "{highest tested rate without loss, 10 members} reached 10 containers without loss. A CAN "
        "bus of 1 Mbit/s carries about 8,000. With 30 containers it was "
        "{highest tested rate without loss, 30 members}"
    ),
    "How long does sending take?": (
        "{time per frame, 2 members} with 2 containers, {time per frame, 10 members} with 10, "
        "{time per frame, 20 members} with 20 and {time per frame, 50 members} with 50"
    ),
    "How late does a frame arrive in another container?": (
        "With 10 containers half of them within "
        "{delay of a frame, from container to container, 10 members, p50} and 999 of 1,000 within "
        "{delay of a frame, from container to container, 10 members, p99.9}; over one vxcan pair "
        "with one rule: {delay of a frame, one vxcan pair and one rule, p50} and "
        "{delay of a frame, one vxcan pair and one rule, p99.9}"
    ),
    "How much memory does the plugin need?": (
        "{resident memory, idle} without containers, "
        "{resident memory, idle, 100 members, after a restart} with 100 of them after a restart; "
        "{memory per member, 100 members} more for each container on a bus of 100"
    ),
    "How much processor time when idle?": (
        "{idle, 100 members: CPU time per hour} per hour with 100 containers"
    ),
    "How long does a container take to connect?": (
        "{container start as member 2} as the 2nd container on the bus, "
        "{container start as member 10} as the 10th, {container start as member 30} as the 30th, "
        "{container start as member 100} as the 100th, {container start as member 300} as the "
        "300th. 30 at once take {30 containers started at once}"
    ),
    "How long does a restart take?": (
        "The plugin answers after {from exec to the first answer}. It restores the interfaces and "
        "rules of 100 containers in {restore 100 members at start}"
    ),
    "How long is a bus silent whose rules were flushed?": (
        "{rules flushed until all are added again, worst of 10, 30 members} at the most"
    ),
    "How much disk space?": "{root file system, uncompressed}",
}
"""The answers of ``docs/performance.md``, with the names of the figures that they quote."""


def write(results: Path, root: Path = ROOT) -> None:
    """Write the pages of a checkout.

    Raises:
        SystemExit: the results lack a figure, or are of a quick run.
    """
    document = json.loads(results.read_text())
    if document["quick"]:
        raise SystemExit(f"{results} is of a quick run: run python -m bench without --quick")
    figures = [Figure.from_json(written) for written in document["figures"]]
    version = document["version"]
    rows = answers(version, figures)
    kept = root / "docs/benchmarks" / f"{version}.json"
    if results.resolve() != kept:
        shutil.copy(results, kept)
    plot.draw(kept)
    _replace(root / "docs/performance.md", ANSWERS, rows)
    _replace(root / "docs/performance.md", LIMITS, limits(figures))
    _replace(root / "bench/NOTES.md", FIGURES, markdown(figures))


def answers(version: str, figures: list[Figure]) -> str:
    """Return the answers as a table, and the picture that belongs to it.

    Raises:
        SystemExit: a figure is missing.
    """
    by_name = {figure.name: figure for figure in reversed(figures)}

    def quote(name: re.Match[str]) -> str:
        if name[1] == "tested":
            return _tested(figures)
        figure = by_name.get(name[1])
        if figure is None:
            raise SystemExit(f"the results have no figure {name[1]!r}")
        return amount(figure.median, figure.unit)

    rows = [f"| question | answer for {version} |", "|---|---|"]
    rows += [f"| {asked} | {_NAME.sub(quote, text)} |" for asked, text in QUESTIONS.items()]
    return "\n".join([*rows, "", _PICTURE.format(version), ""])


def limits(figures: list[Figure]) -> str:
    """Return what limits of the sender cost, as a table."""
    rows = ["| limits of the sender | time | ratio |", "|---|---|---|"]
    for figure in figures:
        if figure.name.startswith(frame_figures.LIMITS):
            name = figure.name.removeprefix(frame_figures.LIMITS)
            ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
            rows.append(f"| {name} | {amount(figure.median, figure.unit)} | {ratio} |")
    return "\n".join(rows)


def _tested(figures: list[Figure]) -> str:
    """Return what became of the frames and rules of the largest bus.

    Raises:
        SystemExit: there was none.
    """
    large = [figure for figure in figures if figure.group == "large"]
    if not large:
        raise SystemExit("the results have no figure of a large bus")
    failed = [f"{figure.name}: {amount(figure.median, '')}" for figure in large if not figure.met]
    members = large[0].name.rpartition(", ")[2].removesuffix(" members")
    if failed:
        return f"Tested with {members}, without success ({'; '.join(failed)})"
    return f"Tested with {members}: each frame reached every container once"


def _replace(page: Path, marker: str, table: str) -> None:
    """Replace what is between a marker and the next end of a page."""
    before, found, rest = page.read_text().partition(marker)
    _, end, after = rest.partition(_END)
    if not (found and end):
        raise SystemExit(f"{page} has no {marker.strip()} with {_END.strip()} after it")
    page.write_text(before + marker + table.rstrip("\n") + end + after)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
