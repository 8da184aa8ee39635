"""Reads the host's rule table from ``cangw -L``, independently of the plugin."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import permutations

_JOB = re.compile(r"^cangw -A (?P<words>.*?)(?: #|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Job:
    """A can-gw job: its source, its target, and the other words of its ``cangw`` command."""

    source: str
    target: str
    words: str


def parse_cangw(text: str) -> Counter[Job]:
    """Read ``cangw -L``."""
    jobs: Counter[Job] = Counter()
    for match in _JOB.finditer(text):
        words = match["words"].split()
        source = words[words.index("-s") + 1]
        target = words[words.index("-d") + 1]
        rest = [
            word
            for position, word in enumerate(words)
            if word not in ("-s", "-d")
            and (not position or words[position - 1] not in ("-s", "-d"))
        ]
        jobs[Job(source, target, " ".join(sorted(rest)))] += 1
    return jobs


def mesh_problems(jobs: Counter[Job], bus: str, host_ends: list[str]) -> list[str]:
    """Compare a table with the full mesh of a bus; return what is missing or not wanted.

    Only jobs from or to one of the host ends count.
    """
    pairs: Counter[tuple[str, str, bool]] = Counter()
    for job, times in jobs.items():
        if job.source in host_ends or job.target in host_ends:
            pairs[job.source, job.target, "-X" in job.words.split()] += times
    problems = []
    for source, target in permutations([bus, *host_ends], 2):
        for fd in (False, True):
            times = pairs.pop((source, target, fd), 0)
            if times != 1:
                problems.append(
                    f"{source} -> {target} ({'FD' if fd else 'classic'}): {times} rules"
                )
    problems += [f"{source} -> {target}: surplus" for source, target, _ in pairs]
    return problems
