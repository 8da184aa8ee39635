"""What the engine sends, as typed values (``drivers/remote/api/api.go`` of libnetwork).

A field that is missing or of the wrong type is refused by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from evercan.errors import RequestError, shown

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_GENERIC = "com.docker.network.generic"


def parse_body(body: bytes) -> Mapping[str, Any]:
    """Parse a request's body.

    Raises:
        RequestError: it is empty (the engine's retry after a broken connection is),
            no JSON, or no object.
    """
    if not body.strip():
        raise RequestError(
            "the request's body is empty, as in the engine's retry after a broken connection; "
            "run the command again"
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"the request's body is no JSON ({error}); send a JSON object"
        ) from error
    if not isinstance(document, dict):
        raise RequestError(
            f"the request's body is a JSON {type(document).__name__}, not an object; "
            "send the fields of the call"
        )
    return document


def _id(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise RequestError(f"field {name} is missing; give the engine's id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RequestError(
            f"field {name}={shown(value)} is no id; give 1 to 128 letters, digits, '_', '.', '-'"
        )
    return value


def _map(fields: Mapping[str, Any], name: str) -> Mapping[str, object]:
    """Read an object that may be absent or null."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"field {name}={shown(value)} is no JSON object; give one, or null")
    return value


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """DeleteNetwork, and whatever else names a network alone."""

    network: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> NetworkRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(_id(fields, "NetworkID"))


@dataclass(frozen=True, slots=True)
class CreateNetworkRequest:
    """CreateNetwork.

    Attributes:
        network: the new network's id.
        options: the ``-o`` map of ``docker network create``.
    """

    network: str
    options: Mapping[str, object]

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> CreateNetworkRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(_id(fields, "NetworkID"), _map(_map(fields, "Options"), _GENERIC))


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """Join, Leave, DeleteEndpoint, EndpointOperInfo: an endpoint of a network."""

    network: str
    endpoint: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> EndpointRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(_id(fields, "NetworkID"), _id(fields, "EndpointID"))


@dataclass(frozen=True, slots=True)
class CreateEndpointRequest:
    """CreateEndpoint.

    Attributes:
        network: its network's id.
        endpoint: the new endpoint's id.
        options: driver options and the engine's own, in one flat map.
    """

    network: str
    endpoint: str
    options: Mapping[str, object]

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> CreateEndpointRequest:
        """Raise RequestError naming the field that is wrong."""
        mac = _map(fields, "Interface").get("MacAddress")
        if mac:
            raise RequestError(
                f"field Interface.MacAddress={shown(mac)}: a CAN interface has no MAC address; "
                "remove --mac-address or mac_address"
            )
        return cls(_id(fields, "NetworkID"), _id(fields, "EndpointID"), _map(fields, "Options"))
