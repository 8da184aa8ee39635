"""Interface names: valid, short enough, and not in use by somebody else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator

MAX_NAME = 15
"""Bytes in an interface name: ``IFNAMSIZ`` of ``linux/if.h`` without the closing NUL."""

PAIR_PREFIX, PAIR_SUFFIX = "vxcan", "p"
"""Host ends are ``vxcan`` and eight hex digits; the container end adds a ``p``."""

FILTER_SUFFIX = "f"
"""The filter interface of an endpoint with limits is called as its host end with an ``f``."""

WIRE_PREFIX, METER_SUFFIX = "wire", "m"
"""The interface that a virtual bus with a bitrate has is called ``wire`` and eight hex digits."""

_DIGITS = 8


def why_invalid(name: str, *, room: int = 0) -> str | None:
    """Return why the kernel would reject an interface name; None if it would not.

    The rules are those of ``dev_valid_name`` in ``net/core/dev.c``, and no ``%``,
    which ``dev_alloc_name`` takes for a pattern.

    Args:
        name: the name, or a prefix of one.
        room: bytes that something will append to it.
    """
    if not name:
        return "is empty"
    if name in (".", ".."):
        return "is a path component, not a name"
    if re.search(r"[/:%\s]|[^\x21-\x7e]", name):
        return "has a character that interface names cannot have (use letters, digits, - _ .)"
    if (size := len(name.encode()) + room) > MAX_NAME:
        with_room = f" with the {room} that the engine appends" if room else ""
        return f"is {size} bytes{with_room}, an interface name has at most {MAX_NAME}"
    return None


def looks_like_hardware(name: str) -> bool:
    """Whether the kernel gives such names to controllers."""
    return re.fullmatch(r"(can|slcan)[0-9]+", name) is not None


def _keys(endpoint_id: str) -> Iterator[str]:
    """Yield eight-digit keys for an endpoint: windows of its id, then of its digests."""
    if re.fullmatch(r"[0-9a-f]+", endpoint_id):
        for start in range(0, len(endpoint_id) - _DIGITS + 1, _DIGITS):
            yield endpoint_id[start : start + _DIGITS]
    for salt in range(2**16):
        yield hashlib.sha256(f"{salt}:{endpoint_id}".encode()).hexdigest()[:_DIGITS]


def host_ends(endpoint_id: str) -> Iterator[str]:
    """Yield the names that an endpoint's host end may have, the most likely first."""
    return (f"{PAIR_PREFIX}{key}" for key in _keys(endpoint_id))


def is_host_end(name: str) -> bool:
    """Whether a name is one that a host end may have."""
    return re.fullmatch(rf"{PAIR_PREFIX}[0-9a-f]{{{_DIGITS}}}", name) is not None


def filter_interface_of(host_end: str) -> str:
    """Name the filter interface that belongs to a host end."""
    return f"{host_end}{FILTER_SUFFIX}"


def wire_names(bus: str) -> tuple[str, str]:
    """Name the wire of a virtual bus, and the meter that belongs to it."""
    wire = f"{WIRE_PREFIX}{hashlib.sha256(bus.encode()).hexdigest()[:_DIGITS]}"
    return wire, f"{wire}{METER_SUFFIX}"


def end_words(name: str) -> str:
    """Say which interface of an endpoint on the host has a name."""
    is_filter = is_host_end(name.removesuffix(FILTER_SUFFIX)) and not is_host_end(name)
    return "filter interface" if is_filter else "host end"


def pair_names(endpoint_id: str, taken: Collection[str]) -> tuple[str, str]:
    """Choose the names of an endpoint's pair: host end, container end.

    The first choice is the id's first eight digits, as in evercan's ancestors. Ids that
    share them get other names, so that no endpoint gets another one's interface.

    Args:
        endpoint_id: the engine's endpoint id.
        taken: names that exist on the host or in the intent.
    """
    for host_end in host_ends(endpoint_id):
        container_end = f"{host_end}{PAIR_SUFFIX}"
        if not {host_end, container_end, filter_interface_of(host_end)}.intersection(taken):
            return host_end, container_end
    raise AssertionError("65,536 digests of one id are all taken")
