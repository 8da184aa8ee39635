"""One thing that the doctor looked at.

A check says what was checked, how it is, and what to do. Its id stays the same
from release to release: scripts go by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended, from good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        id: for scripts: ``host.can-gw``.
        title: what was checked.
        result: how it is.
        text: what was found; of a skipped one, why.
        remedy: what to do; empty if nothing.
    """

    id: str
    title: str
    result: Result
    text: str
    remedy: str = ""
