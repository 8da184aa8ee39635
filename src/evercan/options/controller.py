"""The options that configure a CAN controller, as typed values.

Only its kernel driver knows what a particular controller can do; settings that no
controller can have are rejected here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

from evercan.errors import OptionError
from evercan.model.controller import ControllerSettings

BITRATE, SAMPLE_POINT = "vxcan.bitrate", "vxcan.sample-point"
DBITRATE, DSAMPLE_POINT = "vxcan.dbitrate", "vxcan.dsample-point"
FD, RESTART_MS = "vxcan.fd", "vxcan.restart-ms"
LISTEN_ONLY, TXQUEUELEN = "vxcan.listen-only", "vxcan.txqueuelen"

CONTROLLER_OPTIONS = (
    BITRATE,
    SAMPLE_POINT,
    DBITRATE,
    DSAMPLE_POINT,
    FD,
    RESTART_MS,
    LISTEN_ONLY,
    TXQUEUELEN,
)

_MAX_BITRATE = 20_000_000
"""Bit/s. The fastest there is has 20 Mbit/s; beyond 2^32 / 1000 or so the kernel's own sum
overflows, and it takes a bitrate that it then does not set (seen on 6.12)."""

_MAX_RESTART_MS = 3_600_000
_MAX_TXQUEUELEN = 100_000

_SWITCH = {"on": True, "off": False, "true": True, "false": False}
"""The last two are what some readers of YAML make of an unquoted on and off."""

_T = TypeVar("_T")


def controller_settings(own: Mapping[str, str]) -> ControllerSettings:
    """Read the settings that a network asks for.

    Args:
        own: evercan's options of a network, as text.

    Raises:
        OptionError: names the first one that is malformed, or lacks another.
    """
    settings = ControllerSettings(
        bitrate=_read(own, BITRATE, _bitrate),
        sample_point=_read(own, SAMPLE_POINT, _sample_point),
        dbitrate=_read(own, DBITRATE, _bitrate),
        dsample_point=_read(own, DSAMPLE_POINT, _sample_point),
        fd=_read(own, FD, _switch),
        restart_ms=_read(own, RESTART_MS, _number(0, _MAX_RESTART_MS, "milliseconds, 0 for never")),
        listen_only=_read(own, LISTEN_ONLY, _switch),
        txqueuelen=_read(own, TXQUEUELEN, _number(1, _MAX_TXQUEUELEN, "frames, as in 100")),
    )
    for option, needed, there in (
        (SAMPLE_POINT, BITRATE, settings.bitrate is not None),
        (DSAMPLE_POINT, DBITRATE, settings.dbitrate is not None),
        (DBITRATE, f"{FD}=on", bool(settings.fd)),
        (DBITRATE, BITRATE, settings.bitrate is not None),
    ):
        if option in own and not there:
            raise OptionError(
                option, own[option], f"means nothing without {needed}", f"give {needed} too"
            )
    if settings.fd and settings.dbitrate is None:
        raise OptionError(
            FD, own[FD], "FD needs a bitrate for its data phase", f"give {DBITRATE} too"
        )
    if settings.dbitrate is not None and settings.dbitrate < (settings.bitrate or 0):
        raise OptionError(
            DBITRATE,
            own[DBITRATE],
            f"is lower than {BITRATE}, and the data phase is the faster one",
            f"give at least {settings.bitrate}",
        )
    return settings


def _read(own: Mapping[str, str], option: str, check: Callable[[str, str], _T]) -> _T | None:
    return check(option, own[option]) if option in own else None


def _number(low: int, high: int, what: str) -> Callable[[str, str], int]:
    def check(option: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise OptionError(
                option, text, f"is no whole number from {low} to {high}", f"give {what}"
            )
        return int(text)

    return check


_bitrate = _number(1, _MAX_BITRATE, "bit/s, as in 500000")


def _sample_point(option: str, text: str) -> int:
    """Read a part of a bit; return thousandths."""
    if not re.fullmatch(r"0?\.[0-9]{1,3}", text) or not Decimal(text):
        raise OptionError(
            option,
            text,
            "is no part of a bit between 0 and 1 with at most three decimals",
            "give one as in 0.875",
        )
    return int(Decimal(text) * 1000)


def _switch(option: str, text: str) -> bool:
    if text not in _SWITCH:
        raise OptionError(option, text, "is neither on nor off", "give on or off")
    return _SWITCH[text]
