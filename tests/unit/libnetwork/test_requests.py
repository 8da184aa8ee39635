"""The engine's requests are parsed into typed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import RequestError
from evercan.libnetwork.requests import (
    CreateEndpointRequest,
    CreateNetworkRequest,
    EndpointRequest,
    NetworkRequest,
    parse_body,
)
from tests.support.engine import engine_id

NETWORK, ENDPOINT = engine_id("powertrain"), engine_id("dashboard")
BOTH = {"NetworkID": NETWORK, "EndpointID": ENDPOINT}

PARSERS: tuple[Callable[[Mapping[str, Any]], object], ...] = (
    NetworkRequest.parse,
    CreateNetworkRequest.parse,
    EndpointRequest.parse,
    CreateEndpointRequest.parse,
)


@pytest.mark.parametrize("body", [b"", b"  ", b"\n"])
def test_the_error_of_an_empty_body_explains_it(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"empty.*retry.*run the command again"):
        parse_body(body)


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"\x80", b"{}{}", b'{"a": 1e999999}x'])
def test_invalid_json_is_rejected(body: bytes) -> None:
    with pytest.raises(RequestError, match="not JSON"):
        parse_body(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_json_that_is_not_an_object_is_rejected(body: bytes) -> None:
    with pytest.raises(RequestError, match="not an object"):
        parse_body(body)


def test_the_fields_are_read() -> None:
    options = {"vxcan.id": "1"}
    assert NetworkRequest.parse(BOTH) == NetworkRequest(NETWORK)
    assert EndpointRequest.parse(BOTH) == EndpointRequest(NETWORK, ENDPOINT)
    assert CreateNetworkRequest.parse(
        {**BOTH, "Options": {"com.docker.network.generic": options}}
    ) == CreateNetworkRequest(NETWORK, options)
    assert CreateEndpointRequest.parse({**BOTH, "Options": options}) == CreateEndpointRequest(
        NETWORK, ENDPOINT, options
    )


def test_unknown_fields_are_ignored() -> None:
    assert NetworkRequest.parse({**BOTH, "Since": "29"}) == NetworkRequest(NETWORK)


@pytest.mark.parametrize("fields", [{}, {"Options": None}, {"Options": {}}])
def test_options_may_be_absent(fields: dict[str, object]) -> None:
    assert CreateNetworkRequest.parse({**BOTH, **fields}).options == {}


@pytest.mark.parametrize("interface", [None, {}, {"MacAddress": ""}, {"MacAddress": None}])
def test_an_interface_without_a_mac_address_is_accepted(interface: object) -> None:
    assert CreateEndpointRequest.parse({**BOTH, "Interface": interface}).endpoint == ENDPOINT


def test_a_mac_address_is_rejected() -> None:
    with pytest.raises(RequestError, match="no MAC address; remove"):
        CreateEndpointRequest.parse({**BOTH, "Interface": {"MacAddress": "02:42:ac:11:00:02"}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("NetworkID", "EndpointID", "Options", "Interface"), json_values),
    )
)
def test_any_object_is_read_or_rejected(document: dict[str, Any]) -> None:
    fields = parse_body(orjson.dumps(document))
    for parse in PARSERS:
        try:
            parse(fields)
        except RequestError as error:
            assert "field " in str(error)  # noqa: PT017 - other errors are the failure
