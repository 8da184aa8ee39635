"""Encodes the classifiers of a wire and its meter; no I/O.

Those of the wire tell tokens from frames and put frames into bands by their ids; those of the
meter make the tokens (``wire_queues``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from evercan.kernel.attributes import attribute
from evercan.kernel.netlink import Message
from evercan.kernel.tc import (
    ALL_PROTOCOLS,
    EGRESS,
    RTM_GETTFILTER,
    RTM_NEWTFILTER,
    TCMSG,
    action,
    make_qdisc,
)
from evercan.kernel.wire_queues import FRAMES, labels
from evercan.model.access import EFF_FLAG
from evercan.model.wire import BANDS, Shape, Wire

CLASSIFIER_MODULES = ("cls_u32", "cls_matchall", "act_mpls", "act_mirred", "act_skbedit")

_CREATE_EXCL = 0x400 | 0x200
_CAN, _CANFD, _MPLS = 0x0C00, 0x0D00, 0x4788  # htons(ETH_P_…)

_KIND, _OPTIONS = 1, 2
_U32_CLASSID, _U32_SEL, _U32_ACT = 1, 5, 7
_SEL = struct.Struct("=BBBxHHhhI")
_KEY = struct.Struct("=IIii")
_TERMINAL = 1
_MATCHALL_ACT = 2
_MPLS_PARMS, _MPLS_PROTOCOL, _MPLS_LABEL = 2, 4, 5
_SKBEDIT_PARMS, _SKBEDIT_PRIORITY, _SKBEDIT_QUEUE = 2, 3, 4
_MIRRED_PARMS = 2
_GENERIC = struct.Struct("=IIiii")  # tc_gen: index, capabilities, action, references, bindings
_PUSH = struct.Struct("=i")  # the rest of tc_mpls: what to do
_MIRRED = struct.Struct("=iI")
_MPLS_ACT_PUSH, _EGRESS_MIRROR = 2, 2
_OK, _SHOT, _PIPE = 0, 2, 3
_U16, _U32 = struct.Struct("=H"), struct.Struct("=I")

_RTR_FLAG = 0x4000_0000
_SWITCH = 0x01  # CANFD_BRS
_FIRST, _SECOND = 7, 3  # the lowest bit of an id that the first and the second prio compare
_LONG = 18  # bits of a 29-bit id behind its first 11


def classifier_requests(index: int, meter: int, wire: Wire) -> list[Message]:
    """Encode the requests for the classifiers of a wire and its meter, in their order."""
    to_tokens = _skbedit(attribute(_SKBEDIT_QUEUE, _U16.pack(0)))
    return [
        _classifier(index, EGRESS, 1, _MPLS, "matchall", attribute(_MATCHALL_ACT, to_tokens)),
        *(
            _classifier(
                index, EGRESS, 2, ALL_PROTOCOLS, "u32", _keys((value, mask, 0)) + _second(band)
            )
            for band, value, mask in _bands(_SECOND)
        ),
        *(
            _classifier(
                index,
                FRAMES,
                1,
                ALL_PROTOCOLS,
                "u32",
                _keys((value, mask, 0)) + attribute(_U32_CLASSID, _U32.pack(FRAMES | band + 1)),
            )
            for band, value, mask in _bands(_FIRST)
        ),
        make_qdisc(meter),
        *(_token(index, meter, shape, number) for shape, number, _ in labels(wire)),
    ]


def _second(band: int) -> bytes:
    """Encode the actions that choose the band of frames, and the second prio's band."""
    priority = attribute(_SKBEDIT_PRIORITY, _U32.pack(band))
    queue = attribute(_SKBEDIT_QUEUE, _U16.pack(1))
    return attribute(_U32_ACT, _skbedit(priority + queue))


def _skbedit(options: bytes) -> bytes:
    parms = attribute(_SKBEDIT_PARMS, _GENERIC.pack(0, 0, _OK, 0, 0))
    return attribute(1, action(b"skbedit", parms + options))


def _bands(lowest: int) -> Iterator[tuple[int, int, int]]:
    """Yield each band with the value and the mask of ``can_id`` that it is for."""
    for extended in (False, True):
        shift = lowest + (_LONG if extended else 0)
        flag = EFF_FLAG if extended else 0
        for band in range(BANDS):
            yield band, band << shift | flag, (BANDS - 1) << shift | EFF_FLAG


def _token(index: int, meter: int, shape: Shape, number: int) -> Message:
    """Encode the classifier on the meter that makes the tokens of a shape of frames."""
    flags = (EFF_FLAG if shape.extended else 0) | (_RTR_FLAG if shape.length is None else 0)
    keys = [(flags, EFF_FLAG | (0 if shape.fd else _RTR_FLAG), 0)]
    if shape.length is not None:
        switch = _SWITCH if shape.switched else 0
        value, mask = bytes((shape.length, switch, 0, 0)), bytes((0xFF, _SWITCH, 0, 0))
        if not shape.fd:
            mask = bytes((0xFF, 0, 0, 0))
        keys.append((*_U32.unpack(value), *_U32.unpack(mask), 4))
    push = attribute(_MPLS_PARMS, _GENERIC.pack(0, 0, _PIPE, 0, 0) + _PUSH.pack(_MPLS_ACT_PUSH))
    push += attribute(_MPLS_PROTOCOL, _U16.pack(_MPLS)) + attribute(_MPLS_LABEL, _U32.pack(16))
    copied = _GENERIC.pack(0, 0, _SHOT, 0, 0) + _MIRRED.pack(_EGRESS_MIRROR, index)
    actions = [action(b"mpls", push)] * number
    actions.append(action(b"mirred", attribute(_MIRRED_PARMS, copied)))
    numbered = (attribute(place, encoded) for place, encoded in enumerate(actions, start=1))
    options = _keys(*keys) + attribute(_U32_ACT, *numbered)
    protocol, priority = (_CANFD, 2) if shape.fd else (_CAN, 1)
    return _classifier(meter, EGRESS, priority, protocol, "u32", options)


def _keys(*keys: tuple[int, int, int]) -> bytes:
    """Encode what a u32 classifier compares: values, masks and offsets in bytes."""
    packed = (_KEY.pack(mask, value, offset, 0) for value, mask, offset in keys)
    head = _SEL.pack(_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0)
    return attribute(_U32_SEL, head, *packed)


def _classifier(
    index: int, parent: int, priority: int, protocol: int, kind: str, options: bytes
) -> Message:
    return Message(
        RTM_NEWTFILTER,
        _CREATE_EXCL,
        TCMSG.pack(0, index, 0, parent, priority << 16 | protocol)
        + attribute(_KIND, kind.encode(), b"\0")
        + attribute(_OPTIONS, options),
    )


def list_classifiers(index: int, meter: int) -> list[Message]:
    """Encode the requests for the classifiers of a wire and its meter."""
    places = ((index, EGRESS), (index, FRAMES), (meter, EGRESS))
    return [
        Message(RTM_GETTFILTER, 0, TCMSG.pack(0, interface, 0, parent, 0))
        for interface, parent in places
    ]


def module_of(request: Message, words: str, modules: Iterable[str]) -> str:
    """Name the module without which the kernel has rejected a request with some words."""
    names = [module.partition("_")[2].encode() + b"\0" for module in modules]
    found = [module for module, name in zip(modules, names, strict=True) if name in request.payload]
    kinds = {"classifier": "cls_", "action": "act_"}
    prefix = next((prefix for word, prefix in kinds.items() if word in words), "")
    return next((module for module in found if module.startswith(prefix)), "sch_ingress")
