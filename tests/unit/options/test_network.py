"""Options as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import OptionError
from evercan.model.names import why_invalid
from evercan.options.endpoint import endpoint_options, published_ports
from evercan.options.network import network_options


@pytest.mark.parametrize(
    ("options", "bus", "peer"),
    [
        ({}, "vcan0", "vcanp"),
        ({"vxcan.id": "3"}, "vcan3", "vcanp"),
        ({"vxcan.id": 3}, "vcan3", "vcanp"),
        ({"vxcan.id": "007"}, "vcan007", "vcanp"),
        ({"vxcan.dev": "can", "vxcan.id": "1", "vxcan.peer": "can"}, "can1", "can"),
        ({"vxcan.dev": "can_", "vxcan.id": "main"}, "can_main", "vcanp"),
        ({"vxcan.id": "abc"}, "vcanabc", "vcanp"),
        ({"vxcan.id": "0x1"}, "vcan0x1", "vcanp"),
        ({"vxcan.id": "m" * 11}, "vcan" + "m" * 11, "vcanp"),
        ({"vxcan.id": "auto"}, "vcan0", "vcanp"),
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
        ({"vxcan.id": ""}, "vxcan.id"),
        ({"vxcan.id": "a b"}, "vxcan.id"),
        ({"vxcan.id": "a/b"}, "vxcan.id"),
        ({"vxcan.id": ".."}, "vxcan.id"),
        ({"vxcan.id": "m" * 16}, "vxcan.id"),
        ({"vxcan.id": "1\n"}, "vxcan.id"),
        ({"vxcan.id": "²"}, "vxcan.id"),
        ({"vxcan.id": "auto", "vxcan.kind": "physical"}, "vxcan.id"),
        ({"vxcan.id": "auto", "vxcan.bitrate": "500000"}, "vxcan.id"),
        ({"vxcan.id": "auto", "vxcan.dev": "can"}, "vxcan.id"),
        ({"vxcan.id": "auto", "vxcan.dev": "v" * 15}, "vxcan.dev"),
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


IFNAME = "com.docker.network.endpoint.ifname"


def test_an_interface_name_is_rejected_if_the_engine_ignores_it() -> None:
    with pytest.raises(OptionError, match=r"ifname='can0'.*29\.8 ignore it.*vxcan\.peer"):
        endpoint_options({IFNAME: "can0"}, ifname_applied=False)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("given", [{}, {IFNAME: ""}, {IFNAME: None}])
def test_without_an_interface_name_the_engine_chooses(
    given: dict[str, object], *, applied: bool
) -> None:
    assert endpoint_options(given, ifname_applied=applied).ifname is None


def test_an_interface_name_is_read_for_an_engine_that_applies_it() -> None:
    assert endpoint_options({IFNAME: "can0"}).ifname == "can0"


@pytest.mark.parametrize("name", ["lo", "a/b", "can 0", "can\n0", "n" * 16, 7, ["can0"], True])
def test_a_bad_interface_name_is_rejected(name: object) -> None:
    with pytest.raises(OptionError, match="ifname") as rejection:
        endpoint_options({IFNAME: name})
    assert rejection.value.option == IFNAME


def test_a_second_name_must_differ_from_the_first() -> None:
    with pytest.raises(OptionError, match=r"vxcan\.name='body'"):
        endpoint_options({IFNAME: "body", "vxcan.name": "body"})


def test_published_ports_are_written_as_docker_ps_does() -> None:
    tcp = {"Proto": 6, "IP": "", "Port": 80, "HostIP": "::", "HostPort": 8080}
    udp = {"Proto": 17, "Port": 53, "HostPort": 0}
    ports = {"com.docker.network.portmap": [tcp, udp]}
    assert published_ports(ports) == "8080->80/tcp, any->53/udp"
    many = {"com.docker.network.portmap": [tcp] * 7}
    assert published_ports(many).endswith("8080->80/tcp, …")


@given(st.recursive(st.one_of(st.none(), st.integers(), st.text()), st.lists))
def test_a_port_map_of_another_form_is_no_error(ports: object) -> None:
    assert published_ports({"com.docker.network.portmap": ports}) == ""
    assert published_ports({"com.docker.network.portmap": [{"Port": ports}]}).count("->") == 1


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
