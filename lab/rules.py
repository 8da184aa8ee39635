"""The host's rule table as ``cangw -L`` shows it: a second opinion on the plugin's own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import permutations

_JOB = re.compile(r"^cangw -A (?P<words>.*?)(?: #|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Job:
    """A can-gw job: from where, to where, and the rest of cangw's words."""

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
            each
            for position, each in enumerate(words)
            if each not in ("-s", "-d")
            and (not position or words[position - 1] not in ("-s", "-d"))
        ]
        jobs[Job(source, target, " ".join(sorted(rest)))] += 1
    return jobs


def mesh_faults(jobs: Counter[Job], bus: str, host_ends: list[str]) -> list[str]:
    """Compare a table with the full mesh of a bus; return what is missing or too much.

    Only jobs that touch one of the host ends are looked at.
    """
    pairs: Counter[tuple[str, str, bool]] = Counter()
    for job, times in jobs.items():
        if job.source in host_ends or job.target in host_ends:
            pairs[job.source, job.target, "-X" in job.words.split()] += times
    faults = []
    for source, target in permutations([bus, *host_ends], 2):
        for fd in (False, True):
            times = pairs.pop((source, target, fd), 0)
            if times != 1:
                faults.append(f"{source} -> {target} ({'FD' if fd else 'classic'}): {times} rules")
    faults += [f"{source} -> {target}: surplus" for source, target, _ in pairs]
    return faults
