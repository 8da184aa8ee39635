"""What a list of ids lets through, written from the documentation and not from the code."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

EFF, RTR, ERR = 0x8000_0000, 0x4000_0000, 0x2000_0000
"""Flags of a ``can_id`` (``linux/can.h``)."""


def passes(text: str, can_id: int) -> bool:
    """Whether a list lets a frame through; ``can_id`` has the flag of a 29-bit id."""
    if text in ("all", "none"):
        return text == "all"
    long = bool(can_id & EFF)
    number = can_id & (0x1FFFFFFF if long else 0x7FF)
    wanted: list[bool] = []
    for entry in text.split(","):
        denies = "~" in entry
        digits, _, mask = entry.replace("~", ":").partition(":")
        bits = int(mask or ("1FFFFFFF" if len(digits) == 8 else "7FF"), 16)
        matches = (len(digits) == 8) == long and number & bits == int(digits, 16) & bits
        if denies and matches:
            return False
        if not denies:
            wanted.append(matches)
    return any(wanted) or not wanted


def em_canid(matches: bytes, can_id: int) -> bool:
    """Match a frame as ``em_canid_match`` of ``net/sched/em_canid.c`` does."""
    entries = list(struct.iter_unpack("=II", matches))
    if can_id & EFF:
        return any(not (entry ^ can_id) & mask for entry, mask in entries if entry & EFF)
    found = can_id & 0x7FF
    return any(
        found & mask & 0x7FF == entry & mask & 0x7FF for entry, mask in entries if not entry & EFF
    )


def _entry(digits: int) -> st.SearchStrategy[str]:
    top = 0x1FFFFFFF if digits == 8 else 0x7FF
    number = st.one_of(st.integers(0, top), st.integers(0x100, 0x10F), st.sampled_from([0, top]))
    mask = st.one_of(number, st.sampled_from([0x700, 0x7F0, top, 0]))
    hexed = number.map(lambda value: f"{value:0{digits}X}")
    masked = st.tuples(hexed, st.sampled_from(":~"), mask.map(lambda value: f"{value:0{digits}X}"))
    return st.one_of(hexed, masked.map("".join))


def lists() -> st.SearchStrategy[str]:
    """Draw lists as users write them."""
    entries = st.lists(st.one_of(_entry(3), _entry(8)), min_size=1, max_size=12)
    return st.one_of(entries.map(",".join), st.sampled_from(["all", "none"]))


def can_ids() -> st.SearchStrategy[int]:
    """Draw ids with their flag, many of them near each other."""
    short = st.one_of(st.integers(0, 0x7FF), st.integers(0x100, 0x10F))
    long = st.one_of(st.integers(0, 0x1FFFFFFF), short)
    return st.one_of(short, long.map(lambda value: value | EFF))
