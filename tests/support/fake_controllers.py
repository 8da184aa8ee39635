"""What ``drivers/net/can/dev`` does with settings: takes or rejects them, in its order."""

from __future__ import annotations

import errno

from evercan.model.controller import (
    FD,
    LISTEN_ONLY,
    Controller,
    ControllerSettings,
    ControllerState,
    Limits,
)
from evercan.values import replace

SJA1000 = Controller(
    state=ControllerState.STOPPED,
    supported=0x15F,
    txqueuelen=10,
    mtu=16,
    clock=8_000_000,
    limits=Limits("sja1000", 1, 16, 1, 8, 4, 1, 64, 1),
    tx_errors=0,
    rx_errors=0,
)
"""What the kernel shows of the emulated Kvaser card."""

MCP251XFD = Controller(
    state=ControllerState.STOPPED,
    supported=0x133,
    txqueuelen=10,
    mtu=16,
    clock=40_000_000,
    limits=Limits("mcp251xfd", 2, 256, 1, 128, 128, 1, 256, 1),
    data_limits=Limits("mcp251xfd", 1, 32, 1, 16, 16, 1, 256, 1),
    tx_errors=0,
    rx_errors=0,
)
"""An FD controller, with the limits in its driver's source."""

GS_USB = Controller(
    state=ControllerState.STOPPED,
    supported=0x2B,
    txqueuelen=10,
    mtu=16,
    clock=80_000_000,
    limits=Limits("gs_usb", 1, 256, 1, 128, 128, 1, 512, 1),
    data_limits=Limits("gs_usb", 1, 32, 1, 16, 16, 1, 32, 1),
    tx_errors=0,
    rx_errors=0,
)
"""What the kernel shows of the USB adapters that the lab plays."""

WITHOUT_RESTART = frozenset({"gs_usb"})
"""Drivers that have no ``do_set_mode``: the kernel refuses what restarts after bus-off."""


def change(seen: Controller, settings: ControllerSettings, *, up: bool) -> tuple[Controller, int]:
    """Do as ``can_validate`` and ``can_changelink``: what was taken before an error stays."""
    if settings.fd and (settings.bitrate is None or settings.dbitrate is None):
        return seen, errno.EOPNOTSUPP
    if settings.dbitrate is not None and not settings.fd:
        return seen, errno.EOPNOTSUPP
    for step in (_modes, _timing, _restart, _data_timing):
        asked, code, after = step(seen, settings)
        if asked and up:
            return seen, errno.EBUSY
        seen = after
        if code:
            return seen, code
    return seen, 0


def _modes(seen: Controller, settings: ControllerSettings) -> tuple[bool, int, Controller]:
    modes = seen.modes
    for bit, on in ((FD, settings.fd), (LISTEN_ONLY, settings.listen_only)):
        if on and not (seen.supported or 0) & bit:
            return True, errno.EOPNOTSUPP, seen
        if on is not None:
            modes = modes | bit if on else modes & ~bit
    asked = settings.fd is not None or settings.listen_only is not None
    if not asked:
        return False, 0, seen
    timing = seen.timing if modes & FD else replace(seen.timing, dbitrate=0, dsample_point=0)
    return True, 0, replace(seen, modes=modes, mtu=72 if modes & FD else 16, timing=timing)


def _timing(seen: Controller, settings: ControllerSettings) -> tuple[bool, int, Controller]:
    if settings.bitrate is None:
        return False, 0, seen
    made = calculate(seen.limits, seen.clock, settings.bitrate, settings.sample_point)
    if made is None:
        return True, errno.EINVAL, seen
    timing = replace(seen.timing, bitrate=made[0], sample_point=made[1])
    return True, 0, replace(seen, timing=timing)


def _restart(seen: Controller, settings: ControllerSettings) -> tuple[bool, int, Controller]:
    if settings.restart_ms is None:
        return False, 0, seen
    if settings.restart_ms and seen.limits is not None and seen.limits.driver in WITHOUT_RESTART:
        return False, errno.EOPNOTSUPP, seen
    return True, 0, replace(seen, restart_ms=settings.restart_ms)


def _data_timing(seen: Controller, settings: ControllerSettings) -> tuple[bool, int, Controller]:
    if settings.dbitrate is None:
        return False, 0, seen
    made = calculate(seen.data_limits, seen.clock, settings.dbitrate, settings.dsample_point)
    if made is None:
        return True, errno.EINVAL, seen
    timing = replace(seen.timing, dbitrate=made[0], dsample_point=made[1])
    return True, 0, replace(seen, timing=timing)


def calculate(
    limits: Limits | None, clock: int, bitrate: int, sample_point: int | None
) -> tuple[int, int] | None:
    """Do as ``can_calc_bittiming`` of 6.12: return the nearest bitrate and sample point."""
    assert limits is not None
    nominal = sample_point or (750 if bitrate > 800_000 else 800 if bitrate > 500_000 else 875)
    best: tuple[int, int] | None = None  # error of the bitrate, of the sample point
    found: tuple[int, int] | None = None
    shortest = (limits.tseg1_min + limits.tseg2_min) * 2
    for twice in range((limits.tseg1_max + limits.tseg2_max) * 2 + 1, shortest - 1, -1):
        tsegall = 1 + twice // 2
        brp = (clock // (tsegall * bitrate) + twice % 2) // limits.brp_inc * limits.brp_inc
        if not limits.brp_min <= brp <= limits.brp_max:
            continue
        made = clock // (brp * tsegall)
        off = abs(bitrate - made)
        if best is not None and off > best[0]:
            continue
        point = _nearest(limits, nominal, twice // 2)
        if point is None:
            continue
        if best is None or (off, abs(nominal - point)) < best:
            best, found = (off, abs(nominal - point)), (made, point)
        if best == (0, 0):
            break
    if best is None or best[0] * 1000 // bitrate > 50:
        return None
    return found


def _nearest(limits: Limits, nominal: int, tseg: int) -> int | None:
    """Return the nearest sample point that is not beyond the one that is asked for."""
    points: list[int] = []
    for i in (0, 1):
        tseg2 = tseg + 1 - (nominal * (tseg + 1)) // 1000 - i
        tseg2 = min(max(tseg2, limits.tseg2_min), limits.tseg2_max)
        if tseg - tseg2 > limits.tseg1_max:
            tseg2 = tseg - limits.tseg1_max
        points.append(1000 * (tseg + 1 - tseg2) // (tseg + 1))
    return max((point for point in points if point <= nominal), default=None)


def opened(seen: Controller) -> tuple[Controller, int]:
    """Do as ``open_candev``."""
    if not seen.timing.bitrate or (seen.modes & FD and not seen.timing.dbitrate):
        return seen, errno.EINVAL
    return replace(seen, state=ControllerState.ERROR_ACTIVE), 0


def closed(seen: Controller) -> Controller:
    """Do as a driver's ``ndo_stop``."""
    return replace(seen, state=ControllerState.STOPPED)
