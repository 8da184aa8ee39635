"""Checks what a user asks for with ``evercan fault set``; pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping

from evercan.errors import OptionError, RequestError
from evercan.model.access import ALL, read_ids
from evercan.model.fault import WHOLE, Effect

FROM, TO = "--from", "--to"
LOSS, DELAY, JITTER = "--loss", "--delay", "--jitter"
DUPLICATE, CORRUPT, IDS, FOR = "--duplicate", "--corrupt", "--id", "--for"

MAX_DELAY = 60 * 1_000_000
"""Microseconds that a frame may wait."""

MAX_SECONDS = 7 * 24 * 3600.0
"""Seconds that ``--for`` may give; a fault without it lasts until it is cleared."""

MAX_IDS = 32
"""Entries of ``--id``: each is a classifier for each sender."""

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) ?%")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(us|ms|s|min|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_PAIR = struct.Struct("=II")


def read_effect(given: Mapping[str, str]) -> Effect:
    """Read what happens to frames.

    Args:
        given: the options that were given, by name.

    Raises:
        OptionError: one is malformed or out of range.
        RequestError: none has an effect.
    """
    effect = Effect(
        loss=_part(LOSS, given),
        duplicate=_part(DUPLICATE, given),
        corrupt=_part(CORRUPT, given),
        delay=_microseconds(DELAY, given),
        jitter=_microseconds(JITTER, given),
    )
    if effect.jitter > effect.delay:
        raise OptionError(
            JITTER,
            given[JITTER],
            "is more than the delay" if effect.delay else "needs a delay",
            f"give {DELAY} {given[JITTER]} or more",
        )
    if effect == Effect():
        raise RequestError(
            "the fault has no effect",
            f"give one of {LOSS}, {DELAY}, {DUPLICATE} and {CORRUPT}, such as {LOSS} 5%",
        )
    return effect


def read_duration(given: str | None) -> float | None:
    """Read ``--for``, in seconds; None if it was not given.

    Raises:
        OptionError: it is malformed or out of range.
    """
    if given is None:
        return None
    seconds = _seconds(FOR, given, "60s")
    if not 0 < seconds <= MAX_SECONDS:
        raise OptionError(FOR, given, "is out of range", "give more than 0s and at most 168h")
    return seconds


def read_fault_ids(given: str) -> str:
    """Check ``--id``; return it, or an empty text for all frames.

    Raises:
        OptionError: it is malformed, or is a list of what is not affected.
    """
    if given in ("", ALL):
        return ""
    try:
        ids = read_ids(given)
    except ValueError as error:
        raise OptionError(
            IDS, given, str(error), "give ID or ID:MASK in hex digits, such as 123 or 200:700"
        ) from error
    if ids.denied or not ids.allowed:
        raise OptionError(
            IDS, given, "names no frames that are affected", "give ID or ID:MASK, such as 123:7FF"
        )
    if len(ids.allowed) > MAX_IDS * _PAIR.size:
        raise OptionError(
            IDS,
            f"{given[:40]}…",
            f"has {len(ids.allowed) // _PAIR.size} entries",
            f"give at most {MAX_IDS}, or masks",
        )
    return given


def entries_of(ids: str) -> Iterator[tuple[int, int]]:
    """Yield the entries of a checked list as ``canid_t`` and mask; of an empty one none."""
    yield from _PAIR.iter_unpack(read_ids(ids).allowed or b"") if ids else ()


def _part(name: str, given: Mapping[str, str]) -> int:
    """Read a percentage, in millionths."""
    value = given.get(name)
    if value is None:
        return 0
    found = _PERCENT.fullmatch(value)
    if found is None:
        raise OptionError(
            name, value, "is not a percentage", "give a number with a percent sign, such as 5%"
        )
    part = round(float(found[1]) / 100 * WHOLE)
    if part > WHOLE:
        raise OptionError(name, value, "is more than 100%", "give at most 100%")
    return part


def _microseconds(name: str, given: Mapping[str, str]) -> int:
    value = given.get(name)
    if value is None:
        return 0
    time = round(_seconds(name, value, "20ms") * 1_000_000)
    if time > MAX_DELAY:
        raise OptionError(name, value, "is too long", "give at most 60s")
    return time


def _seconds(name: str, value: str, example: str) -> float:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise OptionError(
            name,
            value,
            "is not a duration",
            f"give a number with its unit us, ms, s, min or h, such as {example}",
        )
    return float(found[1]) * _SECONDS[found[2]]
