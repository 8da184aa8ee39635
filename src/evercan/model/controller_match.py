"""Compares a controller with the settings that are asked for.

The kernel makes the nearest that a clock can be divided into of a bitrate and a
sample point, so the two need not be equal.
"""

from __future__ import annotations

from evercan.model.controller import FD, LISTEN_ONLY, Controller, ControllerSettings, written
from evercan.values import NamedTuple

MAX_ERROR = 0.05
"""How far off a bitrate may be that the kernel takes (``CAN_CALC_MAX_ERROR``)."""

_CALCULATED = frozenset({"bitrate", "sample_point", "dbitrate", "dsample_point"})
"""Settings that the kernel calculates from what is asked for."""

_SAME_BITRATE = 0.005
"""How far off a bitrate that somebody else set may be and still count as the same."""

_SAME_SAMPLE_POINT = 50
"""The same for a sample point, in thousandths: the kernel takes the nearest below."""


class Difference(NamedTuple):
    """A setting that is not as asked.

    Attributes:
        name: as an option, without ``vxcan.``.
        wanted: what is asked, as ``ip`` writes it.
        seen: what the controller has, likewise.
    """

    name: str
    wanted: str
    seen: str

    @property
    def disturbs(self) -> bool:
        """Whether a controller that is set so is another bus's, or harms this one."""
        return self.name not in ("restart-ms", "txqueuelen")


def differences(
    wanted: ControllerSettings, seen: Controller, granted: ControllerSettings | None
) -> tuple[Difference, ...]:
    """List what of ``wanted`` a controller does not have.

    The kernel makes the nearest that a clock can be divided into of a bitrate and a
    sample point.

    Args:
        wanted: what is asked.
        seen: the controller.
        granted: the settings that the kernel made of ``wanted``, if they are known; else
            bitrates and sample points that are near enough count as the same. A driver that
            cannot restart leaves ``restart_ms`` at 0.
    """
    has = seen.settings()
    found: list[Difference] = []
    for name, value in wanted.given():
        field = name.replace("-", "_")
        there = getattr(has, field)
        if granted is not None and field in _CALCULATED:
            same = there == getattr(granted, field)
        elif granted is not None and field == "restart_ms":
            same = there in (value, granted.restart_ms)
        else:
            same = _alike(field, value, there)
        if not same:
            found.append(Difference(name, written(name, value), written(name, there)))
    return tuple(found)


def _alike(field: str, wanted: int, there: int) -> bool:
    if field in ("bitrate", "dbitrate"):
        return abs(wanted - there) <= wanted * _SAME_BITRATE
    if field in ("sample_point", "dsample_point"):
        return abs(wanted - there) <= _SAME_SAMPLE_POINT
    return wanted == there


def lacks_mode(wanted: ControllerSettings, seen: Controller) -> bool:
    """Whether a controller says that it has not a mode that is asked for."""
    asked = (FD if wanted.fd else 0) | (LISTEN_ONLY if wanted.listen_only else 0)
    return seen.supported is not None and asked & ~seen.supported != 0


def restoring(asked: ControllerSettings, former: ControllerSettings) -> ControllerSettings:
    """Return the settings that undo what a kernel took of ``asked`` before it rejected the rest.

    A bitrate that never was set cannot be restored, and need not be: it is taken last. Linux
    6.1 takes the modes after it; see `lacks_mode`.
    """
    concerned = {name.replace("-", "_") for name, _ in asked.given()}
    if asked.fd is not None and former.fd:
        # Switching FD off has cleared the data phase, and FD comes with both bitrates only.
        concerned |= {"bitrate", "sample_point", "dbitrate", "dsample_point"}
    back = {name: getattr(former, name) for name in concerned}
    for rate, sample_point in (("bitrate", "sample_point"), ("dbitrate", "dsample_point")):
        if not back.get(rate):
            back.pop(rate, None)
            back.pop(sample_point, None)
    return ControllerSettings(**back)


def may_be_granted(wanted: ControllerSettings, made: ControllerSettings) -> bool:
    """Whether the kernel can have made these bitrates of those that are asked for."""
    pairs = ((wanted.bitrate, made.bitrate), (wanted.dbitrate, made.dbitrate))
    return all(
        asked is None or abs(asked - (rate or 0)) <= asked * MAX_ERROR for asked, rate in pairs
    )
