"""Encodes the queues of a wire; no I/O.

A *wire* makes frames wait as long as they take on a wire of some bitrate. It is an ``ifb``
interface with a tree of qdiscs (``linux/pkt_sched.h``)::

    tbf         one bit of a frame is one byte of its rate
    └ multiq    takes from its two bands in turn
      ├ pfifo   tokens
      └ prio    frames, by bits 7 to 10 of the id
        └ prio  by bits 3 to 6

A queue charges for a packet by its length, and a frame has 16 or 72 bytes whatever it carries.
So a frame costs one byte, and with each frame comes a *token* that costs the rest: a copy of
the frame that has a length of its own, from which the size table of the ``tbf`` makes the
number of bits. Where frames are let in they are first copied to a second ``ifb``, the *meter*;
its classifiers know the shape of a frame and push as many MPLS labels of 4 bytes in front of
it as make the length, and copy the result to the wire. ``ifb_xmit`` drops it after the queue,
since only what was redirected goes back to where it came from.

The ids of 11 bits, and the first 11 bits of longer ones, decide which of the waiting frames is
next; eight neighbouring ids wait in the order of their arrival.
"""

from __future__ import annotations

import struct

from evercan.kernel.attributes import attribute
from evercan.kernel.netlink import Message
from evercan.kernel.tc import RTM_NEWQDISC, TCMSG, make_qdisc
from evercan.model.wire import BANDS, CLASSIC_TOKENS, FD_TOKENS, Shape, Wire, grouped

QUEUE_MODULES = ("sch_tbf", "sch_multiq", "sch_fifo", "sch_prio", "sch_ingress")

_CREATE_EXCL = 0x400 | 0x200
ROOT = 0xFFFF_FFFF
TBF, MULTIQ, _TOKENS, FRAMES, _NEIGHBOURS = 0x1_0000, 0x2_0000, 0x3_0000, 0x4_0000, 0x10_0000

KIND, OPTIONS, STAB = 1, 2, 8
STAB_BASE, _STAB_DATA = 1, 2
SIZES = struct.Struct("=BBhiIIII")  # tc_sizespec: cell log and align, …, mtu, number of sizes
_CELL_LOG, CELLS = 2, 64  # lengths are distinguished by 4 bytes, up to 256
TBF_PARMS, _TBF_BURST = 1, 6
RATE = struct.Struct("=BBHhHI")  # tc_ratespec: …, link layer, …, bytes a second
_LIMITS = struct.Struct("=III")  # the rest of tc_tbf_qopt: limit, buffer, mtu
_ETHERNET = 1  # TC_LINKLAYER_ETHERNET: a size is what it is
_MULTIQ_BANDS = struct.Struct("=HH")
_PRIO = struct.Struct("=i16B")
_U32 = struct.Struct("=I")

_WAITING = 4_000
"""Tokens that wait at the most. In each band 1,000 frames wait, the interface's queue length."""
_UNLIMITED = 0x7FFF_FFFF
_LATE = 250
"""What a queue may catch up is the time of a frame, or 1/250 s: kernel timers are late."""

_CLASSIC_LENGTH, _FD_LENGTH, _LABEL = 16, 72, 4  # bytes of a frame, and of an MPLS label
_PUSHES = 31
"""``TCA_ACT_MAX_PRIO`` without the last action, which copies."""


def labels(wire: Wire) -> list[tuple[Shape, int, int]]:
    """Return how many labels a token of each shape of frames gets, and what it costs in bits.

    No token is as long as an FD frame, and none of a classic frame as one of an FD frame.
    """
    taken = (_FD_LENGTH - _CLASSIC_LENGTH) // _LABEL
    classic = [number for number in range(1, CLASSIC_TOKENS + 2) if number != taken]
    fd = range(_PUSHES - FD_TOKENS + 1, _PUSHES + 1)
    return [
        (shape, number, bits)
        for is_fd, numbers in ((False, classic), (True, fd))
        for number, (bits, group) in zip(
            numbers, grouped(wire, fd=is_fd, groups=len(numbers)).items(), strict=False
        )
        for shape in group
    ]


def queue_requests(index: int, wire: Wire) -> list[Message]:
    """Encode the requests for the queues of a wire, in their order."""
    burst = max(wire.bitrate // _LATE, *(bits for _, _, bits in labels(wire)))
    rate = RATE.pack(0, _ETHERNET, 0, 0, 0, wire.bitrate)
    tbf = attribute(TBF_PARMS, rate, RATE.pack(*[0] * 6), _LIMITS.pack(_UNLIMITED, 0, 0))
    tbf += attribute(_TBF_BURST, _U32.pack(burst))
    no_map = [BANDS - 1] * 16
    return [
        _qdisc(index, TBF, ROOT, "tbf", tbf, _size_table(wire)),
        _qdisc(index, MULTIQ, TBF | 1, "multiq", _MULTIQ_BANDS.pack(0, 0)),
        _qdisc(index, _TOKENS, MULTIQ | 1, "pfifo", _U32.pack(_WAITING)),
        _qdisc(index, FRAMES, MULTIQ | 2, "prio", _PRIO.pack(BANDS, *no_map)),
        *(
            _qdisc(
                index,
                _NEIGHBOURS + (band << 16),
                FRAMES | band + 1,
                "prio",
                _PRIO.pack(BANDS, *range(BANDS)),
            )
            for band in range(BANDS)
        ),
        make_qdisc(index),
    ]


def _qdisc(
    index: int, handle: int, parent: int, kind: str, options: bytes, more: bytes = b""
) -> Message:
    return Message(
        RTM_NEWQDISC,
        _CREATE_EXCL,
        TCMSG.pack(0, index, handle, parent, 0)
        + attribute(KIND, kind.encode(), b"\0")
        + attribute(OPTIONS, options)
        + more,
    )


def _size_table(wire: Wire) -> bytes:
    """Encode what packets cost by their length.

    The kernel shows the head of the table, but not its sizes. So the second bitrate is in the
    field ``mtu``, which the kernel keeps and does not use.
    """
    sizes = [1] * CELLS
    for shape, number, bits in labels(wire):
        length = (_FD_LENGTH if shape.fd else _CLASSIC_LENGTH) + number * _LABEL
        sizes[length >> _CELL_LOG] = bits - 1
    head = SIZES.pack(_CELL_LOG, 0, 0, 0, _ETHERNET, 0, wire.dbitrate, CELLS)
    table = struct.pack(f"={CELLS}H", *sizes)
    return attribute(STAB, attribute(STAB_BASE, head), attribute(_STAB_DATA, table))
