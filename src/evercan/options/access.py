"""Reads the options about what members may send and receive.

As network options they are the default for its members; an endpoint's own take their place,
one by one.
"""

from __future__ import annotations

from collections.abc import Mapping

from evercan.errors import OptionError
from evercan.model.access import ALL, MAX_ENTRIES, NONE_OF_THEM, Access, AskedAccess, read_ids

SEND, RECEIVE = "vxcan.send", "vxcan.receive"
SEND_RATE, SEND_BURST = "vxcan.send-rate", "vxcan.send-burst"
ACCESS_OPTIONS = (SEND, RECEIVE, SEND_RATE, SEND_BURST)

UNLIMITED = "unlimited"
"""The ``vxcan.send-rate`` of an endpoint that is not to have its network's."""

MAX_RATE = 1_000_000
"""Frames a second, and frames at once."""


def access_of(asked: AskedAccess) -> Access | None:
    """Return what a member may do for whom this is asked; None without any limit.

    Raises:
        OptionError: ``vxcan.send-burst`` is given without a rate.
    """
    rate = asked.send_rate or 0
    if asked.send_burst is not None and asked.send_rate is None:
        raise OptionError(
            SEND_BURST,
            str(asked.send_burst),
            f"is given without {SEND_RATE}",
            f"give both, as in {SEND_RATE}=100 and {SEND_BURST}=10",
        )
    burst = asked.send_burst or default_burst(rate)
    access = Access(asked.send or ALL, asked.receive or ALL, rate, burst if rate else 0)
    return access if access.is_limited else None


def default_burst(rate: int) -> int:
    """Return the frames of a tenth of a second, and at least one."""
    return max(1, rate // 10)


def asked_access(own: Mapping[str, str]) -> AskedAccess:
    """Read the options of a network or an endpoint.

    Raises:
        OptionError: names the first that is malformed.
    """
    return AskedAccess(
        send=_ids(own, SEND),
        receive=_ids(own, RECEIVE),
        send_rate=0 if own.get(SEND_RATE) == UNLIMITED else _frames(own, SEND_RATE),
        send_burst=_frames(own, SEND_BURST),
    )


def _ids(own: Mapping[str, str], option: str) -> str | None:
    value = own.get(option)
    if value is None:
        return None
    try:
        read_ids(value)
    except ValueError as error:
        raise OptionError(
            option,
            value,
            str(error),
            f"give {ALL}, {NONE_OF_THEM} or up to {MAX_ENTRIES} entries separated by commas: "
            f"123 or 200:700 for 11-bit ids, 12345678 or 18FF0000:1FFF0000 for 29-bit ids, "
            f"400~7FF for all but these",
        ) from None
    return value


def _frames(own: Mapping[str, str], option: str) -> int | None:
    value = own.get(option)
    if value is None:
        return None
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if not 1 <= number <= MAX_RATE:
        words = "frames a second" if option == SEND_RATE else "frames"
        also = f", or {UNLIMITED}" if option == SEND_RATE else ""
        raise OptionError(
            option,
            value,
            f"is not a number of {words}",
            f"give a whole number from 1 to {MAX_RATE}{also}",
        )
    return number
