"""Define a check: what was checked, the result, and what to do.

A check's id stays the same in all releases, since scripts use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evercan.cli.errors import CliError


class Result(StrEnum):
    """The result of a check, from good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """A check and its result.

    Attributes:
        id: for scripts: ``host.can-gw``.
        title: what was checked.
        result: the result.
        text: what was found; for a skipped check, why it was skipped.
        remedy: what to do; empty if nothing.
    """

    id: str
    title: str
    result: Result
    text: str
    remedy: str = ""

    @classmethod
    def of_error(
        cls, identity: str, title: str, error: CliError, result: Result = Result.FAIL
    ) -> Check:
        """Return the check that an error ended."""
        return cls(identity, title, result, error.text, error.remedy)
