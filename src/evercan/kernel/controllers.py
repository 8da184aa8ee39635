"""Encodes and decodes CAN controllers; no I/O.

What ``linux/can/netlink.h`` puts into a link's ``IFLA_LINKINFO``: settings,
limits, state and counters. Only links of kind ``can`` have it.
"""

from __future__ import annotations

import struct

from evercan.kernel.attributes import attributes, text
from evercan.model.controller import (
    Controller,
    ControllerSettings,
    ControllerState,
    Events,
    Limits,
    Timing,
    Traffic,
)

_MTU, _TXQLEN, _LINKINFO, _STATS64 = 4, 13, 18, 23
_PARENT_DEV_NAME, _PARENT_DEV_BUS_NAME = 56, 57
_INFO_DATA, _INFO_XSTATS = 2, 3

(
    _BITTIMING,
    _BITTIMING_CONST,
    _CLOCK,
    _STATE,
    _CTRLMODE,
    _RESTART_MS,
    _RESTART,
    _BERR_COUNTER,
    _DATA_BITTIMING,
    _DATA_BITTIMING_CONST,
    _TERMINATION,
    _TERMINATION_CONST,
    _BITRATE_CONST,
    _DATA_BITRATE_CONST,
    _BITRATE_MAX,
    _TDC,
    _CTRLMODE_EXT,
) = range(1, 18)
_CTRLMODE_SUPPORTED = 1

_U32 = struct.Struct("=I")
_RATE = struct.Struct("=II")  # the first two of can_bittiming: bitrate, sample point
_MODES = struct.Struct("=II")  # can_ctrlmode: mask, flags
_COUNTER = struct.Struct("=HH")  # can_berr_counter: transmit, receive
_CONST = struct.Struct("=16s8I")
_EVENTS = struct.Struct("=6I")
_STATS = struct.Struct("=12Q")
# Of packets, bytes, errors, dropped (each received, sent), multicast, collisions, length
# errors, overruns.
_KEPT_STATS = (0, 1, 2, 3, 4, 5, 6, 7, 11)

_STATES = tuple(ControllerState)


def link_info(settings: ControllerSettings) -> list[tuple[str, object]]:
    """Write settings as attributes of a link, in the words of pyroute2."""
    data: list[tuple[str, object]] = []
    if settings.bitrate is not None:
        data.append(_timing("IFLA_CAN_BITTIMING", settings.bitrate, settings.sample_point))
    if settings.dbitrate is not None:
        data.append(_timing("IFLA_CAN_DATA_BITTIMING", settings.dbitrate, settings.dsample_point))
    modes = {"fd": settings.fd, "listenonly": settings.listen_only}
    given = {name: "on" if on else "off" for name, on in modes.items() if on is not None}
    if given:
        data.append(("IFLA_CAN_CTRLMODE", given))
    if settings.restart_ms is not None:
        data.append(("IFLA_CAN_RESTART_MS", settings.restart_ms))
    result: list[tuple[str, object]] = []
    if settings.txqueuelen is not None:
        result.append(("IFLA_TXQLEN", settings.txqueuelen))
    if data:
        info = [("IFLA_INFO_KIND", "can"), ("IFLA_INFO_DATA", {"attrs": data})]
        result.append(("IFLA_LINKINFO", {"attrs": info}))
    return result


def _timing(name: str, bitrate: int, sample_point: int | None) -> tuple[str, object]:
    # The kernel calculates the rest, as it does for ip.
    rest = dict.fromkeys(("tq", "prop_seg", "phase_seg1", "phase_seg2", "sjw", "brp"), 0)
    return name, {"bitrate": bitrate, "sample_point": sample_point or 0, **rest}


class _Attributes(dict[int, tuple[int, int]]):
    """Where each attribute of a nest is, and what it holds."""

    def __init__(self, data: bytes, place: tuple[int, int] | None) -> None:
        self._data = data
        if place is not None:
            super().__init__((kind, (at, end)) for kind, at, end in attributes(data, *place))

    def nest(self, kind: int) -> _Attributes:
        return _Attributes(self._data, self.get(kind))

    def numbers(self, kind: int, form: struct.Struct) -> tuple[int, ...] | None:
        """Read the fields of a struct; None where there is none, or an older, shorter one."""
        at, end = self.get(kind, (0, 0))
        return form.unpack_from(self._data, at) if end - at >= form.size else None

    def number(self, kind: int) -> int | None:
        found = self.numbers(kind, _U32)
        return None if found is None else found[0]

    def array(self, kind: int) -> tuple[int, ...]:
        at, end = self.get(kind, (0, 0))
        return struct.unpack_from(f"={(end - at) // 4}I", self._data, at)

    def text(self, kind: int) -> str:
        at, end = self.get(kind, (0, 0))
        return self._data[at:end].rstrip(b"\0").decode("ascii", errors="replace")

    def limits(self, kind: int) -> Limits | None:
        at, end = self.get(kind, (0, 0))
        if end - at < _CONST.size:
            return None
        name, *numbers = _CONST.unpack_from(self._data, at)
        return Limits(text(name, 0, len(name)), *numbers)


def decode_controller(data: bytes, at: int, end: int) -> Controller:
    """Decode the attributes of a link of kind ``can``."""
    link = _Attributes(data, (at, end))
    info = link.nest(_LINKINFO)
    can = info.nest(_INFO_DATA)
    state = can.number(_STATE)
    errors = can.numbers(_BERR_COUNTER, _COUNTER) or (None, None)
    stats = link.numbers(_STATS64, _STATS)
    nothing = (0, 0)
    place = (link.text(_PARENT_DEV_BUS_NAME), link.text(_PARENT_DEV_NAME))
    return Controller(
        state=None if state is None or state >= len(_STATES) else _STATES[state],
        timing=Timing(
            *(can.numbers(_BITTIMING, _RATE) or nothing),
            *(can.numbers(_DATA_BITTIMING, _RATE) or nothing),
        ),
        modes=(can.numbers(_CTRLMODE, _MODES) or nothing)[1],
        # Kernels before 6.0 do not give it.
        supported=can.nest(_CTRLMODE_EXT).number(_CTRLMODE_SUPPORTED),
        restart_ms=can.number(_RESTART_MS) or 0,
        txqueuelen=link.number(_TXQLEN) or 0,
        mtu=link.number(_MTU) or 0,
        clock=can.number(_CLOCK) or 0,
        limits=can.limits(_BITTIMING_CONST),
        data_limits=can.limits(_DATA_BITTIMING_CONST),
        bitrates=can.array(_BITRATE_CONST),
        bitrate_max=can.number(_BITRATE_MAX) or 0,
        tx_errors=errors[0],
        rx_errors=errors[1],
        place=" ".join(filter(None, place)),
        events=Events(*(info.numbers(_INFO_XSTATS, _EVENTS) or ())),
        traffic=None if stats is None else Traffic(*(stats[position] for position in _KEPT_STATS)),
    )
