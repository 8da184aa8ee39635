"""A CAN controller: its settings, and what the kernel shows of it.

Words and units are those of ``ip link set NAME type can``: bitrates in bit/s, a
sample point as a part of the bit, a restart delay in milliseconds. Sample points
are kept in thousandths, as the kernel keeps them (``linux/can/netlink.h``).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from evercan.values import NamedTuple, dataclass, fields_of

LISTEN_ONLY, FD = 0x02, 0x20
"""``CAN_CTRLMODE_*``: the two modes that evercan sets."""

MODES = {
    0x01: "loopback",
    LISTEN_ONLY: "listen-only",
    0x04: "triple-sampling",
    0x08: "one-shot",
    0x10: "berr-reporting",
    FD: "fd",
    0x40: "presume-ack",
    0x80: "fd-non-iso",
    0x100: "cc-len8-dlc",
}
"""Names of a controller's modes, as ``ip`` writes them."""

_MTU_FD = 72


class ControllerState(StrEnum):
    """``enum can_state`` of ``linux/can/netlink.h``, in its order."""

    ERROR_ACTIVE = "error-active"
    ERROR_WARNING = "error-warning"
    ERROR_PASSIVE = "error-passive"
    BUS_OFF = "bus-off"
    STOPPED = "stopped"
    SLEEPING = "sleeping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """What a network asks of the controller that is its bus; None leaves it alone.

    Attributes:
        bitrate: of the arbitration phase, bit/s.
        sample_point: thousandths of a bit.
        dbitrate: of the data phase of FD frames, bit/s.
        dsample_point: thousandths of a bit of the data phase.
        fd: whether it sends and takes FD frames.
        restart_ms: milliseconds from bus-off to restart; 0 is never.
        listen_only: whether it only listens: sends nothing and acknowledges nothing.
        txqueuelen: frames that wait for the wire.
    """

    bitrate: int | None = None
    sample_point: int | None = None
    dbitrate: int | None = None
    dsample_point: int | None = None
    fd: bool | None = None
    restart_ms: int | None = None
    listen_only: bool | None = None
    txqueuelen: int | None = None

    def __bool__(self) -> bool:
        """Whether any setting is given."""
        return any(True for _ in self.given())

    def given(self) -> Iterator[tuple[str, int | bool]]:
        """Yield the settings that are given, by their names as options and for ``ip``."""
        for name, value in fields_of(self).items():
            if value is not None:
                yield name.replace("_", "-"), value

    def words(self) -> str:
        """Write the settings as ``ip link set`` takes them, without ``type can``."""
        return " ".join(f"{name} {written(name, value)}" for name, value in self.given())

    def command(self, name: str) -> str:
        """Write the commands that configure interface ``name`` like this by hand."""
        queue = f"txqueuelen {self.txqueuelen} " if self.txqueuelen is not None else ""
        rest = " ".join(
            f"{key} {written(key, value)}" for key, value in self.given() if key != "txqueuelen"
        )
        kind = f"type can {rest}" if rest else ""
        return f"ip link set {name} down; ip link set {name} {queue}up {kind}".rstrip()


NO_SETTINGS = ControllerSettings()
"""Leaves all alone."""


def written(name: str, value: int | bool) -> str:
    """Write a setting's value as ``ip`` does."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value / 1000:.3f}" if name.endswith("sample-point") else str(value)


@dataclass(frozen=True, slots=True)
class Timing:
    """Bitrates, bit/s, and sample points, thousandths; 0 where there is none."""

    bitrate: int = 0
    sample_point: int = 0
    dbitrate: int = 0
    dsample_point: int = 0


class Limits(NamedTuple):
    """``struct can_bittiming_const``: what a controller can divide its clock into."""

    driver: str
    tseg1_min: int
    tseg1_max: int
    tseg2_min: int
    tseg2_max: int
    sjw_max: int
    brp_min: int
    brp_max: int
    brp_inc: int

    def bitrates(self, clock: int) -> tuple[int, int]:
        """Return the lowest and the highest bitrate, bit/s, at a clock in Hz."""
        longest = self.brp_max * (1 + self.tseg1_max + self.tseg2_max)
        shortest = self.brp_min * (1 + self.tseg1_min + self.tseg2_min)
        return -(-clock // longest), clock // shortest

    def words(self, clock: int) -> str:
        """Write them for a person."""
        low, high = self.bitrates(clock)
        return (
            f"{low} to {high} bit/s ({self.driver}: clock {clock} Hz, "
            f"tseg1 {self.tseg1_min}..{self.tseg1_max}, tseg2 {self.tseg2_min}..{self.tseg2_max}, "
            f"brp {self.brp_min}..{self.brp_max})"
        )


class Events(NamedTuple):
    """``struct can_device_stats``: how often something happened since the driver probed."""

    bus_error: int = 0
    error_warning: int = 0
    error_passive: int = 0
    bus_off: int = 0
    arbitration_lost: int = 0
    restarts: int = 0


NO_EVENTS = Events()


class Traffic(NamedTuple):
    """Frames and losses at an interface since it appeared (``struct rtnl_link_stats64``).

    Bytes are those of payload.
    """

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    rx_over_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """What the kernel shows of a controller.

    Attributes:
        state: how it stands to the bus; ``stopped`` while it is down.
        timing: the bitrates that the kernel made of those that were asked for.
        modes: ``CAN_CTRLMODE_*`` that are on.
        supported: those that it has; None from kernels that do not give them.
        restart_ms: as in ``ControllerSettings``.
        txqueuelen: as in ``ControllerSettings``.
        mtu: 16 for classic frames, 72 when it is set to FD.
        clock: Hz; 0 when its driver does not give it.
        limits: of the arbitration phase, if the driver gives them.
        data_limits: of the data phase, likewise: only FD controllers have them.
        bitrates: the only ones that it can do, if its driver lists them.
        bitrate_max: what its transceiver can do, bit/s; 0 when unknown.
        tx_errors: transmit error counter, None if its driver has none.
        rx_errors: receive error counter, likewise.
        events: how often something happened to it.
        place: where it is plugged in, as ``usb 1-1:1.0``; empty from kernels before 5.14.
        traffic: its statistics, where they were asked for.
    """

    state: ControllerState | None = None
    timing: Timing = Timing()
    modes: int = 0
    supported: int | None = None
    restart_ms: int = 0
    txqueuelen: int = 0
    mtu: int = 16
    clock: int = 0
    limits: Limits | None = None
    data_limits: Limits | None = None
    bitrates: tuple[int, ...] = ()
    bitrate_max: int = 0
    tx_errors: int | None = None
    rx_errors: int | None = None
    events: Events = NO_EVENTS
    place: str = ""
    traffic: Traffic | None = None

    @property
    def fd(self) -> bool:
        """Whether it takes FD frames as it is set."""
        return self.mtu >= _MTU_FD

    def settings(self) -> ControllerSettings:
        """Write how it is set as what would set it so."""
        return ControllerSettings(
            bitrate=self.timing.bitrate,
            sample_point=self.timing.sample_point,
            dbitrate=self.timing.dbitrate,
            dsample_point=self.timing.dsample_point,
            fd=bool(self.modes & FD),
            restart_ms=self.restart_ms,
            listen_only=bool(self.modes & LISTEN_ONLY),
            txqueuelen=self.txqueuelen,
        )

    def capabilities(self) -> str:
        """Write its limits for a person."""
        parts: list[str] = []
        if self.bitrates:
            parts.append(f"bitrates {', '.join(map(str, self.bitrates))} bit/s only")
        elif self.limits is not None and self.clock:
            parts.append(f"bitrate {self.limits.words(self.clock)}")
        if self.bitrate_max:
            parts.append(f"transceiver up to {self.bitrate_max} bit/s")
        if self.data_limits is not None and self.clock:
            parts.append(f"dbitrate {self.data_limits.words(self.clock)}")
        if self.supported is not None:
            names = [name for bit, name in MODES.items() if self.supported & bit and bit != FD]
            parts.append(f"modes {', '.join(names) or 'none'}")
            parts.append("CAN FD" if self.supported & FD else "no CAN FD")
        return "; ".join(parts) or "its driver gives no limits"
