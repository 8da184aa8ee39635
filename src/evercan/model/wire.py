"""A virtual bus that is as slow as a wire: its bitrates, and how long frames take on it.

The kernel knows the length of a frame only as 16 or 72 bytes (``struct can_frame`` and
``canfd_frame``). So each frame is charged for by a *token*, a packet of another length that
stands for the bits of the frame on a wire (``kernel.wire_queues``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from evercan.model.controller import ControllerSettings
from evercan.values import NamedTuple

_END = 13
"""Bits that have no stuff bits: CRC delimiter, acknowledgement, end of frame, space to the next."""

_STUFF = 24
"""There is one stuff bit for so many bits. Random bits have one for 32, bytes of 0 one for 4."""

CLASSIC_TOKENS, FD_TOKENS = 20, 24
"""Lengths of tokens that there are for classic frames, and for FD frames."""

BANDS = 16
"""Bands of a ``prio`` qdisc, by which the queue compares ids."""

_QUEUES = 4 + BANDS  # tbf, multiq, pfifo of the tokens, prio, and a prio in each of its bands
_CLASSIFIERS = 1 + 4 * BANDS  # of tokens; of ids of 11 and of 29 bits, for both levels of prio

FD_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)
"""Bytes of payload that a CAN FD frame can have."""


class Wire(NamedTuple):
    """How fast a virtual bus is.

    Attributes:
        bitrate: bit/s.
        dbitrate: bit/s in the data phase of FD frames; 0 for the same.
    """

    bitrate: int
    dbitrate: int = 0

    def words(self) -> str:
        """Write it as a person reads it."""
        return f"{self.bitrate} bit/s" + (f", {self.dbitrate} in FD frames" * bool(self.dbitrate))


class Shape(NamedTuple):
    """What decides how long a frame takes on a wire.

    Attributes:
        fd: it is a CAN FD frame.
        extended: its id has 29 bits.
        length: bytes of payload; None for a remote frame.
        switched: its payload has the second bitrate (``CANFD_BRS``).
    """

    fd: bool
    extended: bool
    length: int | None
    switched: bool = False


def wire_of(settings: ControllerSettings) -> Wire | None:
    """Return the wire that a virtual bus with these settings is; None without a bitrate."""
    if settings.bitrate is None:
        return None
    return Wire(settings.bitrate, settings.dbitrate or 0)


def shapes(*, fd: bool) -> list[Shape]:
    """Return the shapes of classic frames, or those of CAN FD frames."""
    if fd:
        return [
            Shape(True, extended, length, switched)
            for extended in (False, True)
            for switched in (False, True)
            for length in FD_LENGTHS
        ]
    lengths = (None, *range(9))
    return [Shape(False, extended, length) for extended in (False, True) for length in lengths]


def bits_of(shape: Shape, wire: Wire) -> int:
    """Return how long a frame takes, as bits of ``wire.bitrate``, the space behind it included.

    ISO 11898-1. The number of stuff bits depends on the payload; it is taken as one for 24
    bits, so that a frame of 8 bytes is reckoned as 115 bits, and has 111 to 135.
    """
    payload = 8 * (shape.length or 0)
    if not shape.fd:
        head = (54 if shape.extended else 34) + payload  # to the end of the CRC
        return head + head // _STUFF + _END
    head = 36 if shape.extended else 17  # to BRS
    body = 5 + payload  # ESI, length
    check = 4 + (17 + 6 if payload <= 128 else 21 + 7)  # stuff count, CRC, fixed stuff bits
    data = body + body // _STUFF + check
    if shape.switched and wire.dbitrate:
        data = -(-data * wire.bitrate // wire.dbitrate)
    return head + head // _STUFF + data + _END


@cache
def grouped(wire: Wire, *, fd: bool, groups: int) -> Mapping[int, tuple[Shape, ...]]:
    """Put shapes into at most so many groups, by the bits that each group is charged for.

    The kernel distinguishes only a few kinds of tokens. Groups are as narrow as that allows.
    """
    by_bits: dict[int, list[Shape]] = {}
    for shape in shapes(fd=fd):
        by_bits.setdefault(bits_of(shape, wire), []).append(shape)
    lengths = sorted(by_bits)
    percent = 0
    while len(found := list(_runs(lengths, percent))) > groups:
        percent += 1
    return {
        (run[0] + run[-1] + 1) // 2: tuple(shape for bits in run for shape in by_bits[bits])
        for run in found
    }


def _runs(lengths: Iterable[int], percent: int) -> Iterable[list[int]]:
    """Yield runs of sorted lengths that differ by at most so many percent."""
    run: list[int] = []
    for length in lengths:
        if run and length * 100 > run[0] * (100 + percent):
            yield run
            run = []
        run.append(length)
    if run:
        yield run


def parts_of(wire: Wire) -> int:
    """Return how many queues and classifiers a wire has."""
    groups = (
        *grouped(wire, fd=False, groups=CLASSIC_TOKENS).values(),
        *grouped(wire, fd=True, groups=FD_TOKENS).values(),
    )
    return _QUEUES + _CLASSIFIERS + sum(map(len, groups))


class WireSeen(NamedTuple):
    """What the kernel shows of a wire.

    Attributes:
        wire: its bitrates; None if its queue is not as evercan makes it.
        parts: how many queues and classifiers it has.
    """

    wire: Wire | None
    parts: int


class WireCount(NamedTuple):
    """What a wire has counted.

    Attributes:
        bits: bits of frames that have passed.
        dropped: frames for which no room was left while others waited.
    """

    bits: int = 0
    dropped: int = 0


class WireEntry(NamedTuple):
    """The classifier that makes frames that arrive on an interface pass through a wire.

    Attributes:
        wire: the ifindex of the wire; -1 for a classifier that is not evercan's.
        meter: the ifindex of its meter.
        local: only frames of programs of the host; those that rules have forwarded have
            passed the wire already.
    """

    wire: int
    meter: int
    local: bool
