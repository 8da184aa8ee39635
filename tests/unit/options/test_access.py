"""``vxcan.send``, ``vxcan.receive``, ``vxcan.send-rate`` and ``vxcan.send-burst``."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from evercan.errors import OptionError
from evercan.model.access import Access, AskedAccess, Filter, receive_filters, send_filters
from evercan.options.access import access_of
from evercan.options.endpoint import endpoint_options
from evercan.options.network import network_options
from tests.support.access_model import EFF, RTR, can_ids, em_canid, lists, passes

TARGET = 7


def let_through(filters: tuple[Filter, ...], can_id: int) -> bool:
    """Let a frame meet classifiers as the kernel does: the first that matches decides."""
    for wanted in filters:
        matches = not wanted.matches or em_canid(wanted.matches, can_id)
        if matches and not (wanted.denied and em_canid(wanted.denied, can_id)):
            return wanted.target == TARGET
    return False  # a host end has no rules, and a filter interface sends nothing


@given(lists(), can_ids())
@example("400~7FF", 0x400)
@example("123,400~7FF", 0x401)
@example("00000123", 0x123)
@example("123", 0x123 | EFF)
@example("000:000", 0x7FF)
@example("00000000:00000000", 0x123)
@example("123,123,120:7F0", 0x123)
def test_the_classifiers_let_through_what_the_list_lets_through(text: str, can_id: int) -> None:
    expected = passes(text, can_id)
    send = Access(send=text, send_rate=100, send_burst=10)
    assert let_through(send_filters(send, TARGET), can_id) is expected
    assert let_through(send_filters(send, TARGET), can_id | RTR) is expected
    assert let_through(receive_filters(Access(receive=text), TARGET), can_id) is expected


@given(lists(), can_ids())
def test_without_any_of_the_classifiers_no_further_frame_passes(text: str, can_id: int) -> None:
    filters = send_filters(Access(send=text), TARGET)
    for gone in range(len(filters)):
        if let_through(filters[:gone] + filters[gone + 1 :], can_id):
            assert passes(text, can_id)


def test_entries_of_29_bits_come_first_as_the_kernel_keeps_them() -> None:
    found, _ = send_filters(Access(send="1,18FF0000:1FFF0000,1,2"), TARGET)
    assert found.matches.hex() == "0000ff980000ff1f" + "01000000ff070000" + "02000000ff070000"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is not an id"),
        ("123,", "is not an id"),
        ("123,all", "is not an id"),
        ("xyz", "is not an id"),
        ("1234", "has 4 digits"),
        ("123456789", "has 9 digits"),
        ("800", "above 7FF"),
        ("FFFFFFFF", "above 1FFFFFFF"),
        ("123:800", "above 7FF"),
        ("123:1FFFFFFF", "not as long"),
        ("12345678:7FF", "not as long"),
        ("12345678:123456789", "above 1FFFFFFF"),
        (" 123", "is not an id"),
        (",".join(501 * ["123"]), "has 501 entries"),
    ],
)
@pytest.mark.parametrize("option", ["vxcan.send", "vxcan.receive"])
def test_a_malformed_list_is_rejected_with_its_reason(option: str, value: str, reason: str) -> None:
    for read in (network_options, endpoint_options):
        with pytest.raises(OptionError, match=reason) as error:
            read({option: value})
        assert error.value.option == option
        assert "123 or 200:700 for 11-bit ids" in error.value.remedy


def test_a_list_can_have_500_entries() -> None:
    text = ",".join(f"{number:03X}" for number in range(500))
    assert endpoint_options({"vxcan.send": text}).access.send == text


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "1000001", "", "٣"])
@pytest.mark.parametrize("option", ["vxcan.send-rate", "vxcan.send-burst"])
def test_a_malformed_rate_is_rejected(option: str, value: str) -> None:
    with pytest.raises(OptionError, match="is not a number of frames"):
        endpoint_options({"vxcan.send-rate": "1", option: value})


def access(network: dict[str, str], endpoint: dict[str, str]) -> Access | None:
    """Return what a member may do, by the options of its network and its own."""
    default = network_options(network).access
    return access_of(endpoint_options(endpoint).access.over(default))


def test_without_an_option_a_member_has_no_limits() -> None:
    assert access({}, {}) is None
    assert access({"vxcan.send": "all", "vxcan.receive": "all"}, {}) is None


def test_an_option_of_an_endpoint_takes_the_place_of_the_networks() -> None:
    network = {"vxcan.send": "none", "vxcan.send-rate": "50"}
    assert access(network, {}) == Access("none", "all", 50, 5)
    assert access(network, {"vxcan.send": "123"}) == Access("123", "all", 50, 5)
    assert access(network, {"vxcan.send-rate": "7"}) == Access("none", "all", 7, 1)
    assert access(network, {"vxcan.send": "all", "vxcan.send-rate": "unlimited"}) is None


def test_a_burst_is_by_default_a_tenth_of_a_second() -> None:
    assert access({}, {"vxcan.send-rate": "1000"}) == Access("all", "all", 1000, 100)
    assert access({}, {"vxcan.send-rate": "5"}) == Access("all", "all", 5, 1)
    options = {"vxcan.send-rate": "5", "vxcan.send-burst": "20"}
    assert access({}, options) == Access("all", "all", 5, 20)


def test_a_burst_without_a_rate_is_rejected() -> None:
    with pytest.raises(OptionError, match=r"vxcan\.send-burst.*without vxcan\.send-rate"):
        network_options({"vxcan.send-burst": "5"})
    assert endpoint_options({"vxcan.send-burst": "5"}).access == AskedAccess(send_burst=5)
    with pytest.raises(OptionError, match=r"vxcan\.send-burst.*without vxcan\.send-rate"):
        access({}, {"vxcan.send-burst": "5"})
    assert access({"vxcan.send-rate": "10"}, {"vxcan.send-burst": "5"}) == Access(
        "all", "all", 10, 5
    )
