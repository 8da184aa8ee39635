"""Controllers as bytes; what is sent is compared with pyroute2's codec."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.kernel import links
from evercan.kernel.links import decode_links
from evercan.kernel.netlink import Message
from evercan.kernel.slim_pyroute2 import load_ifinfmsg
from evercan.model.controller import (
    Controller,
    ControllerSettings,
    ControllerState,
    Events,
    Limits,
    Timing,
    Traffic,
)
from evercan.model.observed import Link
from evercan.values import replace
from tests.support.fake_controllers import MCP251XFD, SJA1000
from tests.support.netlink_peer import attribute, message

U32 = st.integers(0, 2**32 - 1)


def decode_with_pyroute2(request: Message) -> Any:
    decoded = load_ifinfmsg()(message(request.type, request.payload))
    decoded.decode()
    return decoded


def u32(*values: int) -> bytes:
    return struct.pack(f"={len(values)}I", *values)


def _limits(kind: int, limits: Limits | None) -> bytes:
    if limits is None:
        return b""
    return attribute(kind, struct.pack("=16s", limits.driver.encode()) + u32(*limits[1:]))


def shown(link: Link) -> bytes:
    """Write a controller's link as ``can_fill_info`` and ``rtnl_fill_ifinfo`` do."""
    controller = link.controller
    assert controller is not None
    rate, data_rate = (
        (controller.timing.bitrate, controller.timing.sample_point),
        (controller.timing.dbitrate, controller.timing.dsample_point),
    )
    data = attribute(1, u32(*rate, *range(6))) if any(rate) else b""
    data += _limits(2, controller.limits)
    data += attribute(3, u32(controller.clock))
    if controller.state is not None:
        data += attribute(4, u32(list(ControllerState).index(controller.state)))
    data += attribute(5, u32(0, controller.modes)) + attribute(6, u32(controller.restart_ms))
    if controller.tx_errors is not None and controller.rx_errors is not None:
        data += attribute(8, struct.pack("=HH", controller.tx_errors, controller.rx_errors))
    data += attribute(9, u32(*data_rate, *range(6))) if any(data_rate) else b""
    data += _limits(10, controller.data_limits)
    data += attribute(13, u32(*controller.bitrates)) if controller.bitrates else b""
    data += attribute(15, u32(controller.bitrate_max))
    if controller.supported is not None:
        data += attribute(17 | 0x8000, attribute(1, u32(controller.supported)))
    info = attribute(1, b"can\0") + attribute(2 | 0x8000, data)
    info += attribute(3, u32(*controller.events))
    payload = struct.pack("=BxHiII", 0, 280, link.index, 0, 0)
    payload += attribute(3, link.name.encode() + b"\0")
    payload += attribute(13, u32(controller.txqueuelen)) + attribute(4, u32(controller.mtu))
    payload += attribute(18 | 0x8000, info)
    for kind, text in zip((57, 56), controller.place.split(), strict=False):
        payload += attribute(kind, text.encode() + b"\0")
    if controller.traffic is not None:
        rx, tx, *sizes, rx_errors, tx_errors, rx_dropped, tx_dropped, overruns = controller.traffic
        stats = (rx, tx, *sizes, rx_errors, tx_errors, rx_dropped, tx_dropped, 3, 4, 5, overruns, 6)
        payload += attribute(23, struct.pack("=13Q", *stats))
    return message(16, payload)


limits = st.builds(Limits, st.sampled_from(["sja1000", "mcp251xfd"]), *8 * [U32])
controllers = st.builds(
    Controller,
    state=st.none() | st.sampled_from(ControllerState),
    timing=st.builds(Timing, *4 * [U32]),
    modes=U32,
    supported=st.none() | U32,
    restart_ms=U32,
    txqueuelen=U32,
    mtu=U32,
    clock=U32,
    limits=st.none() | limits,
    data_limits=st.none() | limits,
    bitrates=st.lists(U32, max_size=4).map(tuple),
    bitrate_max=U32,
    tx_errors=st.integers(0, 2**16 - 1),
    rx_errors=st.integers(0, 2**16 - 1),
    events=st.builds(Events, *6 * [U32]),
    place=st.sampled_from(["", "usb 1-1:1.0", "pci 0000:00:08.0"]),
    traffic=st.none() | st.builds(Traffic, *9 * [st.integers(0, 2**64 - 1)]),
)


@given(controllers)
def test_a_controller_is_read_as_it_is(controller: Controller) -> None:
    link = Link(index=3, name="can0", kind="can", mtu=controller.mtu, controller=controller)
    assert list(decode_links([shown(link)])) == [link]


def test_what_a_driver_does_not_give_is_unknown() -> None:
    partial = Controller(state=None, supported=None, tx_errors=None, rx_errors=None)
    link = Link(index=3, name="can0", kind="can", mtu=partial.mtu, controller=partial)
    assert list(decode_links([shown(link)])) == [link]


def test_a_controller_without_any_attribute_does_not_break_an_observation() -> None:
    payload = struct.pack("=BxHiII", 0, 280, 9, 0, 0) + attribute(18, attribute(1, b"can\0"))
    (link,) = decode_links([message(16, payload)])
    assert link.controller == Controller(mtu=0)


@pytest.mark.parametrize("kind", [b"vcan\0", b"vxcan\0"])
def test_virtual_links_are_not_controllers(kind: bytes) -> None:
    info = attribute(1, kind) + attribute(2, attribute(1, u32(*range(8))))
    payload = struct.pack("=BxHiII", 0, 280, 9, 0, 0) + attribute(18, info)
    (link,) = decode_links([message(16, payload)])
    assert link.controller is None


def test_settings_and_up_are_one_message_without_a_group() -> None:
    settings = ControllerSettings(
        bitrate=500_000,
        sample_point=800,
        dbitrate=2_000_000,
        fd=True,
        restart_ms=100,
        listen_only=False,
        txqueuelen=100,
    )
    request = links.configure(7, settings)
    decoded = decode_with_pyroute2(request)
    assert (request.type, request.flags) == (16, 0)  # creates nothing
    assert (decoded["index"], decoded["flags"], decoded["change"]) == (7, 1, 1)
    assert decoded.get_attr("IFLA_TXQLEN") == 100
    assert decoded.get_attr("IFLA_GROUP") is None
    assert decoded.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "can"
    data = decoded.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    timing = data.get_attr("IFLA_CAN_BITTIMING")
    assert (timing["bitrate"], timing["sample_point"], timing["brp"]) == (500_000, 800, 0)
    data_timing = data.get_attr("IFLA_CAN_DATA_BITTIMING")
    assert (data_timing["bitrate"], data_timing["sample_point"]) == (2_000_000, 0)
    assert data.get_attr("IFLA_CAN_RESTART_MS") == 100
    # struct can_ctrlmode: mask, flags.
    assert attribute(5, u32(0x22, 0x20)) in request.payload


def test_settings_that_are_not_given_are_not_sent() -> None:
    request = links.configure(7, ControllerSettings(restart_ms=0))
    data = decode_with_pyroute2(request).get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    assert [name for name, _ in data["attrs"]] == ["IFLA_CAN_RESTART_MS"]
    queue = decode_with_pyroute2(links.configure(7, ControllerSettings(txqueuelen=5)))
    assert [name for name, _ in queue["attrs"]] == ["IFLA_TXQLEN"]


def test_setting_down_changes_only_that_flag() -> None:
    decoded = decode_with_pyroute2(links.bring_down(7))
    assert (decoded["index"], decoded["flags"], decoded["change"]) == (7, 0, 1)


def test_an_altname_is_added_to_one_interface() -> None:
    request = links.add_altname(7, "powertrain")
    assert request.type == 108  # RTM_NEWLINKPROP
    decoded = decode_with_pyroute2(request)
    assert decoded["index"] == 7
    names = decoded.get_attr("IFLA_PROP_LIST").get_attrs("IFLA_ALT_IFNAME")
    assert names == ["powertrain"]


def test_capabilities_are_written_for_a_person() -> None:
    assert SJA1000.capabilities() == (
        "bitrate 5000 to 2666666 bit/s (sja1000: clock 8000000 Hz, tseg1 1..16, tseg2 1..8, "
        "brp 1..64); modes loopback, listen-only, triple-sampling, one-shot, berr-reporting, "
        "presume-ack, cc-len8-dlc; no CAN FD"
    )
    assert MCP251XFD.capabilities().endswith("CAN FD")
    assert "dbitrate" in MCP251XFD.capabilities()
    listed = replace(SJA1000, bitrates=(125_000, 250_000), bitrate_max=1_000_000, supported=None)
    assert listed.capabilities() == (
        "bitrates 125000, 250000 bit/s only; transceiver up to 1000000 bit/s"
    )
    assert Controller().capabilities() == "its driver gives no limits"
