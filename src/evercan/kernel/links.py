"""Encodes and decodes links; no I/O.

Encoding is pyroute2's (``ifinfmsg``), extended by the vxcan kind that it does not know.
Decoding is our own: an observation reads every link of the host, and of each only a few
attributes, for which the general decoder takes a millisecond.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from evercan.kernel.attributes import attributes, text
from evercan.kernel.controllers import decode_controller, link_info
from evercan.kernel.netlink import HEADER, Message, messages_of
from evercan.kernel.slim_pyroute2 import load_ifinfmsg
from evercan.model.controller import Controller, ControllerSettings
from evercan.model.observed import FD_MTU, LINK_GROUP, WIRE_GROUP, Link

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWLINKPROP = 108
_CREATE_EXCL = 0x400 | 0x200

IFF_UP, IFF_LOWER_UP = 0x1, 0x1_0000
ARPHRD_CAN = 280

_IFINFOMSG = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change
_I32 = struct.Struct("=i")
_U32 = struct.Struct("=I")

_IFNAME, _MTU, _LINK, _QDISC, _LINKINFO, _GROUP, _EXT_MASK = 3, 4, 5, 6, 18, 27, 29
_LINK_NETNSID, _PROP_LIST, _ALT_IFNAME = 37, 52, 53
_NUMBERS = {_MTU: _U32, _LINK: _I32, _GROUP: _U32, _LINK_NETNSID: _I32}
_INFO_KIND = 1
_IFB_MTU, _IFB_QUEUE = 100, 1000
_SKIP_STATS = 1 << 3

_TARGET_NETNSID = "IFLA_IF_NETNSID"
"""pyroute2 knows ``IFLA_TARGET_NETNSID`` by its former name."""


@cache
def _ifinfmsg() -> Any:
    """Return pyroute2's link message, with the vxcan kind registered."""
    ifinfmsg = load_ifinfmsg()
    veth_data = ifinfmsg.ifinfo.veth_data

    class VxcanData(veth_data):  # type: ignore[misc,valid-type] # pyroute2 is untyped
        """``VXCAN_INFO_PEER`` of ``linux/can/vxcan.h``: the same shape as veth's."""

        nla_map = (("VXCAN_INFO_UNSPEC", "none"), ("VXCAN_INFO_PEER", "info_peer"))

    ifinfmsg.ifinfo.register_link_kind(module={"vxcan": VxcanData})
    return ifinfmsg


def _encode(
    attrs: list[tuple[str, object]], *, index: int = 0, flags: int = 0, change: int | None = None
) -> bytes:
    ifinfmsg = _ifinfmsg()
    # pyroute2 silently leaves out what it does not know.
    unknown = {name for name, _ in attrs} - {known[0] for known in ifinfmsg.nla_map}
    if unknown:
        raise ValueError(f"pyroute2 does not know {', '.join(sorted(unknown))}")
    message = ifinfmsg()
    message["index"] = index
    message["flags"] = flags
    message["change"] = flags if change is None else change
    message["attrs"] = attrs
    message.encode()
    return bytes(message.data[HEADER.size :])


def make_vcan(name: str, group: int = LINK_GROUP) -> Message:
    """Encode the request for a tagged vcan that is up; EEXIST if the name is taken.

    Args:
        name: its name.
        group: its tag.
    """
    return Message(
        RTM_NEWLINK,
        _CREATE_EXCL,
        _encode(
            [
                ("IFLA_IFNAME", name),
                ("IFLA_GROUP", group),
                ("IFLA_MTU", FD_MTU),
                ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "vcan")]}),
            ],
            flags=IFF_UP,
        ),
    )


def make_ifb(name: str, queues: int) -> Message:
    """Encode the request for a tagged ``ifb`` that is up; EEXIST if the name is taken.

    Its MTU is too small for IPv6, which would send packets of its own.

    Args:
        name: its name.
        queues: its queues for packets that are sent.
    """
    return Message(
        RTM_NEWLINK,
        _CREATE_EXCL,
        _encode(
            [
                ("IFLA_IFNAME", name),
                ("IFLA_GROUP", WIRE_GROUP),
                ("IFLA_MTU", _IFB_MTU),
                ("IFLA_TXQLEN", _IFB_QUEUE),
                ("IFLA_NUM_TX_QUEUES", queues),
                ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "ifb")]}),
            ],
            flags=IFF_UP,
        ),
    )


def make_pair(first: str, second: str, *, first_in: int | None = None, up: bool = False) -> Message:
    """Encode the request for a tagged vxcan pair, the second end down.

    Args:
        first: name of one end.
        second: name of the other, which is created on the host.
        first_in: number of the namespace to create the first end in; None is the host.
            Up to kernel 6.12 its name must be free on the host too
            (``rtnl_newlink`` looks it up in the caller's namespace).
        up: bring the first end up.
    """
    peer = {"attrs": [("IFLA_IFNAME", second), ("IFLA_GROUP", LINK_GROUP), ("IFLA_MTU", FD_MTU)]}
    info = [
        ("IFLA_INFO_KIND", "vxcan"),
        ("IFLA_INFO_DATA", {"attrs": [("VXCAN_INFO_PEER", peer)]}),
    ]
    attrs: list[tuple[str, object]] = [
        ("IFLA_IFNAME", first),
        ("IFLA_GROUP", LINK_GROUP),
        ("IFLA_MTU", FD_MTU),
        ("IFLA_LINKINFO", {"attrs": info}),
    ]
    if first_in is not None:
        attrs.append((_TARGET_NETNSID, first_in))
    return Message(RTM_NEWLINK, _CREATE_EXCL, _encode(attrs, flags=IFF_UP if up else 0))


def move_inside(index: int, nsid: int, name: str) -> Message:
    """Encode the request that moves an interface into a namespace and brings it up there.

    The kernel gives it the new name only if its own is taken there
    (``__dev_change_net_namespace``).
    """
    return Message(
        RTM_SETLINK,
        0,
        _encode([(_TARGET_NETNSID, nsid), ("IFLA_IFNAME", name)], index=index, flags=IFF_UP),
    )


def get_by_name(name: str) -> Message:
    """Encode the request for one interface of the host."""
    return Message(RTM_GETLINK, 0, _encode([("IFLA_IFNAME", name)]))


def get_inside(index: int, nsid: int) -> Message:
    """Encode the request for one interface of another namespace."""
    return Message(RTM_GETLINK, 0, _encode([(_TARGET_NETNSID, nsid)], index=index))


def bring_up(name: str) -> Message:
    """Encode the request that brings an interface up, found by its name."""
    return Message(RTM_SETLINK, 0, _encode([("IFLA_IFNAME", name)], flags=IFF_UP))


def set_mtu(index: int, mtu: int) -> Message:
    """Encode the request that sets the MTU of an interface, which must be down, and brings it up.

    ``vcan_change_mtu`` and ``vxcan_change_mtu`` reject it while the interface is up (EBUSY).
    """
    return Message(RTM_SETLINK, 0, _encode([("IFLA_MTU", mtu)], index=index, flags=IFF_UP))


def bring_down(index: int) -> Message:
    """Encode the request that sets an interface down."""
    return Message(RTM_SETLINK, 0, _encode([], index=index, flags=0, change=IFF_UP))


def configure(index: int, settings: ControllerSettings, *, up: bool = True) -> Message:
    """Encode the request that configures a controller, which must be down.

    Args:
        index: its ifindex.
        settings: those given.
        up: bring it up in the same request, which the kernel does only if it took the
            settings (``rtnl_newlink``).
    """
    attrs = link_info(settings)
    return Message(RTM_NEWLINK, 0, _encode(attrs, index=index, flags=IFF_UP if up else 0))


def clear_group(index: int) -> Message:
    """Encode the request that sets ``IFLA_GROUP`` of an interface to 0, the kernel's default."""
    return Message(RTM_SETLINK, 0, _encode([("IFLA_GROUP", 0)], index=index, flags=0, change=0))


def add_altname(index: int, name: str) -> Message:
    """Encode the request that gives an interface of the host another name.

    There is none for an interface of another namespace: ``rtnl_linkprop`` looks in the
    caller's, whatever namespace the request names.
    """
    names = {"attrs": [("IFLA_ALT_IFNAME", name)]}
    return Message(RTM_NEWLINKPROP, _CREATE_EXCL, _encode([("IFLA_PROP_LIST", names)], index=index))


def get_with_statistics(index: int) -> Message:
    """Encode the request for one interface of the host with its statistics."""
    return Message(RTM_GETLINK, 0, _encode([], index=index))


def delete(index: int) -> Message:
    """Encode the request that deletes an interface.

    Raises:
        ValueError: the index is not one: index 0 would select by other means.
    """
    if index <= 0:
        raise ValueError(f"an interface needs an index above 0, not {index}")
    return Message(RTM_DELLINK, 0, _IFINFOMSG.pack(0, 0, index, 0, 0))


def list_all() -> Message:
    """Encode the request for all links, without their statistics."""
    mask = struct.pack("=HHI", 8, _EXT_MASK, _SKIP_STATS)
    return Message(RTM_GETLINK, 0, _IFINFOMSG.pack(0, 0, 0, 0, 0) + mask)


def decode_links(chunks: Iterable[bytes]) -> Iterator[Link]:
    """Decode a dump, or notifications, into links."""
    for data in chunks:
        for part in messages_of(data):
            if part.kind == RTM_NEWLINK:
                yield _decode(data, part.offset + HEADER.size, part.offset + part.length)


def _altnames(data: bytes, at: int, end: int) -> frozenset[str]:
    return frozenset(
        text(data, first, last)
        for kind, first, last in attributes(data, at, end)
        if kind == _ALT_IFNAME
    )


def _info_kind(data: bytes, at: int, end: int) -> str:
    for kind, first, last in attributes(data, at, end):
        if kind == _INFO_KIND:
            return text(data, first, last)
    return ""


def _decode(data: bytes, at: int, end: int) -> Link:
    _, hardware, index, flags, _ = _IFINFOMSG.unpack_from(data, at)
    name = kind = qdisc = ""
    numbers: dict[int, int] = {}
    altnames: frozenset[str] = frozenset()
    controller: Controller | None = None
    for attribute, start, stop in attributes(data, at + _IFINFOMSG.size, end):
        if attribute == _IFNAME:
            name = text(data, start, stop)
        elif (number := _NUMBERS.get(attribute)) is not None:
            (numbers[attribute],) = number.unpack_from(data, start)
        elif attribute == _QDISC:
            qdisc = text(data, start, stop)
        elif attribute == _LINKINFO:
            kind = _info_kind(data, start, stop)
        elif attribute == _PROP_LIST:
            altnames = _altnames(data, start, stop)
    if kind == "can":
        controller = decode_controller(data, at + _IFINFOMSG.size, end)
    return Link(
        index=index,
        name=name,
        kind=kind,
        is_can=hardware == ARPHRD_CAN,
        up=bool(flags & IFF_UP),
        running=bool(flags & IFF_LOWER_UP),
        group=numbers.get(_GROUP, 0),
        peer_index=numbers.get(_LINK),
        peer_nsid=numbers.get(_LINK_NETNSID),
        altnames=altnames,
        mtu=numbers.get(_MTU, 0),
        controller=controller,
        qdisc=qdisc,
    )
