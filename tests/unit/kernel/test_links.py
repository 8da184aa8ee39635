"""Links as bytes, compared with pyroute2's codec and with the kernel."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.kernel import links
from evercan.kernel.links import decode_links
from evercan.kernel.netlink import Message, NetlinkSocket
from evercan.kernel.slim_pyroute2 import load_ifinfmsg
from evercan.model.observed import LINK_GROUP, Link
from tests.support.netlink_peer import attribute, message

IFNAME, MTU, LINK, LINKINFO, GROUP, LINK_NETNSID, PROP_LIST, ALT_IFNAME = (
    3,
    4,
    5,
    18,
    27,
    37,
    52,
    53,
)
NESTED = 0x8000
ARPHRD_CAN, ARPHRD_ETHER = 280, 1
UP, LOWER_UP = 0x1, 0x1_0000


def decode_with_pyroute2(data: bytes) -> Any:
    """Decode one message with pyroute2."""
    decoded = load_ifinfmsg()(data)
    decoded.decode()
    return decoded


def as_message(request: Message) -> bytes:
    return message(request.type, request.payload)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def shown(link: Link) -> bytes:
    """Write a link as the kernel does."""
    flags = (UP if link.up else 0) | (LOWER_UP if link.running else 0)
    hardware = ARPHRD_CAN if link.is_can else ARPHRD_ETHER
    payload = struct.pack("=BxHiII", 0, hardware, link.index, flags, 0)
    payload += attribute(IFNAME, text(link.name)) + attribute(13, struct.pack("=I", 10))
    payload += attribute(GROUP, struct.pack("=I", link.group))
    payload += attribute(MTU, struct.pack("=I", link.mtu))
    if link.altnames:
        names = b"".join(attribute(ALT_IFNAME, text(name)) for name in sorted(link.altnames))
        payload += attribute(PROP_LIST | NESTED, names)
    if link.peer_index is not None:
        payload += attribute(LINK, struct.pack("=i", link.peer_index))
    if link.kind:
        payload += attribute(LINKINFO, attribute(1, text(link.kind)) + attribute(2, b""))
    if link.peer_nsid is not None:
        payload += attribute(LINK_NETNSID, struct.pack("=i", link.peer_nsid))
    return message(16, payload, flags=2)


names = st.text(st.characters(codec="ascii", exclude_characters="\0/: "), min_size=1, max_size=15)
all_links = st.builds(
    Link,
    index=st.integers(1, 2**31 - 1),
    name=names,
    kind=st.sampled_from(["", "vcan", "vxcan", "slcan", "veth"]),
    is_can=st.booleans(),
    up=st.booleans(),
    running=st.booleans(),
    group=st.sampled_from([0, LINK_GROUP, 2**32 - 1]),
    peer_index=st.none() | st.integers(0, 2**31 - 1),
    peer_nsid=st.none() | st.integers(-1, 2**31 - 1),
    altnames=st.frozensets(names, max_size=3),
    mtu=st.sampled_from([16, 72, 2060]),
)


@given(st.lists(all_links, max_size=8), st.integers(1, 4))
def test_every_link_of_a_dump_is_read_as_it_is(listed: list[Link], size: int) -> None:
    written = [shown(link) for link in listed]
    chunks = [b"".join(written[at : at + size]) for at in range(0, len(written), size)]
    assert list(decode_links(chunks)) == listed


def test_messages_of_other_types_are_ignored() -> None:
    deleted = message(17, struct.pack("=BxHiII", 0, ARPHRD_CAN, 9, 0, 0))
    kept = Link(index=4, name="vcan0", kind="vcan")
    assert list(decode_links([deleted + shown(kept) + deleted])) == [kept]


def test_a_name_that_is_not_utf8_does_not_break_an_observation() -> None:
    payload = struct.pack("=BxHiII", 0, ARPHRD_CAN, 9, 0, 0) + attribute(IFNAME, b"can\xff\0")
    (link,) = decode_links([message(16, payload)])
    assert link.name.startswith("can")


def test_a_vcan_is_created_with_name_kind_and_tag() -> None:
    request = links.make_vcan("vcan7")
    decoded = decode_with_pyroute2(as_message(request))
    assert decoded.get_attr("IFLA_IFNAME") == "vcan7"
    assert decoded.get_attr("IFLA_GROUP") == LINK_GROUP
    assert decoded.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "vcan"
    (link,) = decode_links([as_message(request)])
    assert (link.name, link.kind, link.group) == ("vcan7", "vcan", LINK_GROUP)


def test_creating_an_interface_that_exists_is_an_error() -> None:
    for request in (links.make_vcan("vcan7"), links.make_pair("a", "b")):
        assert request.type == 16
        assert request.flags & 0x600 == 0x600


def test_a_pair_is_created_with_both_names_and_tags() -> None:
    decoded = decode_with_pyroute2(as_message(links.make_pair("vxcan1", "vxcan1p")))
    assert decoded.get_attr("IFLA_IFNAME") == "vxcan1"
    assert decoded.get_attr("IFLA_GROUP") == LINK_GROUP
    info = decoded.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "vxcan"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VXCAN_INFO_PEER")
    assert peer.get_attr("IFLA_IFNAME") == "vxcan1p"
    assert peer.get_attr("IFLA_GROUP") == LINK_GROUP


def test_the_peer_is_a_whole_link_message_as_vxcan_newlink_reads_it() -> None:
    payload = links.make_pair("vxcan1", "vxcan1p").payload
    at = payload.index(b"vxcan1p\0")
    header = payload[at - 4 - 16 - 4 : at]
    size, kind = struct.unpack_from("=HH", header)
    assert kind & 0x3FFF == 1  # VXCAN_INFO_PEER
    assert header[4:20] == bytes(16)  # struct ifinfomsg
    assert struct.unpack_from("=HH", header, 20)[1] == IFNAME
    assert size >= 4 + 16 + 12


def test_bringing_up_changes_only_that_flag() -> None:
    request = links.bring_up("vcan0")
    index, flags, change = struct.unpack_from("=iII", request.payload, 4)
    assert (index, flags, change) == (0, UP, UP)
    assert decode_with_pyroute2(as_message(request)).get_attr("IFLA_IFNAME") == "vcan0"


def test_clearing_the_group_changes_nothing_else_of_one_interface() -> None:
    request = links.clear_group(7)
    assert (request.type, request.flags) == (19, 0)  # RTM_SETLINK
    index, flags, change = struct.unpack_from("=iII", request.payload, 4)
    assert (index, flags, change) == (7, 0, 0)
    decoded = decode_with_pyroute2(as_message(request))
    assert [tuple(attribute) for attribute in decoded["attrs"]] == [("IFLA_GROUP", 0)]


def test_a_link_is_deleted_by_its_index() -> None:
    request = links.delete(7)
    assert request.type == 17
    assert decode_with_pyroute2(as_message(request))["index"] == 7


@pytest.mark.parametrize("index", [0, -1])
def test_a_deletion_without_an_index_cannot_be_built(index: int) -> None:
    with pytest.raises(ValueError, match="index above 0"):
        links.delete(index)


@pytest.mark.parametrize("name", ["vcan0", "v" * 15])
def test_names_end_with_a_nul_as_the_kernel_requires(name: str) -> None:
    assert text(name) in links.make_vcan(name).payload


def test_this_hosts_links_are_read_as_pyroute2_reads_them() -> None:
    with NetlinkSocket() as netlink:
        chunks = netlink.dump(links.list_all())
    ours = {link.index: link for link in decode_links(chunks)}
    theirs = {}
    for data in chunks:
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from("=I", data, at)
            decoded = decode_with_pyroute2(data[at : at + length])
            theirs[decoded["index"]] = decoded
            at += length + -length % 4
    assert ours.keys() == theirs.keys()
    for index, decoded in theirs.items():
        link, info = ours[index], decoded.get_attr("IFLA_LINKINFO")
        assert link.name == decoded.get_attr("IFLA_IFNAME")
        assert link.up == bool(decoded["flags"] & UP)
        assert link.group == decoded.get_attr("IFLA_GROUP")
        assert link.is_can == (decoded["ifi_type"] == ARPHRD_CAN)
        assert link.kind == ((info and info.get_attr("IFLA_INFO_KIND")) or "")


def test_an_attribute_that_pyroute2_would_leave_out_is_an_error() -> None:
    with pytest.raises(ValueError, match="IFLA_NO_SUCH_THING"):
        links._encode([("IFLA_NO_SUCH_THING", 1)])


def test_requests_that_concern_a_namespace_name_it() -> None:
    number = struct.pack("=HHi", 8, 46, 77)
    assert number in links.get_inside(5, 77).payload
    assert number in links.move_inside(5, 77, "can0").payload
    assert number in links.make_pair("vxcana", "vxcanb", first_in=77).payload
    assert number not in links.make_pair("vxcana", "vxcanb").payload
