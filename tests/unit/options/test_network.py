"""Options as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import OptionError
from evercan.model.names import why_invalid
from evercan.options.endpoint import endpoint_options
from evercan.options.network import network_options


@pytest.mark.parametrize(
    ("options", "bus", "peer"),
    [
        ({}, "vcan0", "vcanp"),
        ({"vxcan.id": "3"}, "vcan3", "vcanp"),
        ({"vxcan.id": 3}, "vcan3", "vcanp"),
        ({"vxcan.id": "007"}, "vcan007", "vcanp"),
        ({"vxcan.dev": "can", "vxcan.id": "1", "vxcan.peer": "can"}, "can1", "can"),
        ({"vxcan.dev": "v" * 14}, "v" * 14 + "0", "vcanp"),
        ({"vxcan.peer": "p" * 14}, "vcan0", "p" * 14),
        ({"com.docker.network.bridge.name": "x", "parent": 7}, "vcan0", "vcanp"),
    ],
)
def test_good_options_are_read(options: dict[str, object], bus: str, peer: str) -> None:
    read = network_options(options)
    assert (read.bus, read.peer_prefix) == (bus, peer)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"vxcan.id": "abc"}, "vxcan.id"),
        ({"vxcan.id": ""}, "vxcan.id"),
        ({"vxcan.id": "0x1"}, "vxcan.id"),
        ({"vxcan.id": "+1"}, "vxcan.id"),
        ({"vxcan.id": "1\n"}, "vxcan.id"),
        ({"vxcan.id": "²"}, "vxcan.id"),
        ({"vxcan.id": -1}, "vxcan.id"),
        ({"vxcan.id": None}, "vxcan.id"),
        ({"vxcan.id": {}}, "vxcan.id"),
        ({"vxcan.id": False}, "vxcan.id"),
        ({"vxcan.dev": "averyverylongdev"}, "vxcan.dev"),
        ({"vxcan.dev": "a/b"}, "vxcan.dev"),
        ({"vxcan.dev": ""}, "vxcan.dev"),
        ({"vxcan.dev": " vcan"}, "vxcan.dev"),
        ({"vxcan.dev": "vcan "}, "vxcan.dev"),
        ({"vxcan.dev": "\u202evcan"}, "vxcan.dev"),
        ({"vxcan.dev": 1.5}, "vxcan.dev"),
        ({"vxcan.peer": ""}, "vxcan.peer"),
        ({"vxcan.peer": "can 0"}, "vxcan.peer"),
        ({"vxcan.peer": "p" * 15}, "vxcan.peer"),
        ({"vxcan.peer": []}, "vxcan.peer"),
        ({"vxcan.DEV": "can"}, "vxcan.DEV"),
        ({"vxcan.device": "can"}, "vxcan.device"),
        ({"vxcan.": ""}, "vxcan."),
    ],
)
def test_a_bad_network_option_is_rejected_by_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError) as rejection:
        network_options(options)
    assert rejection.value.option == named
    assert str(rejection.value).startswith(f"option {named}=")


def test_the_error_of_an_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"known here: .*vxcan\.dev.*vxcan\.id.*vxcan\.peer"):
        network_options({"vxcan.bus": "can0"})


def test_an_endpoint_has_no_prefix_of_its_own_unless_it_is_given() -> None:
    assert endpoint_options({"com.docker.network.portmap": []}).peer_prefix is None
    assert endpoint_options({"vxcan.peer": "can"}).peer_prefix == "can"


@pytest.mark.parametrize("option", ["vxcan.dev", "vxcan.id", "vxcan.x"])
def test_an_option_of_networks_is_rejected_on_an_endpoint(option: str) -> None:
    with pytest.raises(OptionError, match="known here"):
        endpoint_options({option: "1"})


def test_an_interface_name_for_the_engine_is_rejected_and_not_ignored() -> None:
    with pytest.raises(OptionError, match=r"ifname='can0'.*vxcan\.peer"):
        endpoint_options({"com.docker.network.endpoint.ifname": "can0"})


values = st.one_of(st.text(max_size=20), st.integers(), st.none(), st.booleans(), st.floats())


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["vxcan.dev", "vxcan.id", "vxcan.peer"]), st.text(max_size=12)),
        values,
        max_size=4,
    )
)
def test_options_are_usable_or_rejected(options: dict[str, object]) -> None:
    try:
        read = network_options(options)
    except OptionError:
        return
    assert why_invalid(read.bus) is None
    assert why_invalid(read.peer_prefix, room=1) is None
