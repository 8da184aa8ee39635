"""Parses what the engine sends into typed values (``drivers/remote/api/api.go`` of libnetwork).

A field that is missing or of the wrong type is rejected by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from evercan.errors import RequestError, shown
from evercan.values import NamedTuple

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
            "the request's body is empty, as in the engine's retry after a broken connection",
            "run the command again",
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"the request's body is not JSON ({error})", "send a JSON object"
        ) from error
    if not isinstance(document, dict):
        raise RequestError(
            f"the request's body is a JSON {type(document).__name__}, not an object",
            "send the fields of the call",
        )
    return document


def subject(body: bytes) -> dict[str, str]:
    """Say what a request is about, as far as it can be read: network and endpoint."""
    try:
        fields = parse_body(body)
    except RequestError:
        return {}
    named = {"network": fields.get("NetworkID"), "endpoint": fields.get("EndpointID")}
    return {key: id_ for key, id_ in named.items() if isinstance(id_, str) and _ID.fullmatch(id_)}


def engine_id(fields: Mapping[str, Any], name: str, where: str = "") -> str:
    """Read an id of the engine; reject what is none by the name of its field."""
    value = fields.get(name)
    if value is None:
        raise RequestError(f"field {where}{name} is missing", "give the engine's id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RequestError(
            f"field {where}{name}={shown(value)} is not an id",
            "give 1 to 128 letters, digits, '_', '.', '-'",
        )
    return value


def object_field(fields: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, object]:
    """Read an object that may be absent or null."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(
            f"field {where}{name}={shown(value)} is not a JSON object", "give one, or null"
        )
    return value


class NetworkRequest(NamedTuple):
    """DeleteNetwork, and whatever else names a network alone."""

    network: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> NetworkRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(engine_id(fields, "NetworkID"))


class CreateNetworkRequest(NamedTuple):
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
        return cls(
            engine_id(fields, "NetworkID"), object_field(object_field(fields, "Options"), _GENERIC)
        )


class EndpointRequest(NamedTuple):
    """Leave, DeleteEndpoint, EndpointOperInfo: an endpoint of a network."""

    network: str
    endpoint: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> EndpointRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(engine_id(fields, "NetworkID"), engine_id(fields, "EndpointID"))


class JoinRequest(NamedTuple):
    """Join.

    Attributes:
        network: the endpoint's network's id.
        endpoint: its id.
        options: those of the container, such as its ports; none of the endpoint's own.
    """

    network: str
    endpoint: str
    options: Mapping[str, object]

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> JoinRequest:
        """Raise RequestError naming the field that is wrong."""
        return cls(
            engine_id(fields, "NetworkID"),
            engine_id(fields, "EndpointID"),
            object_field(fields, "Options"),
        )


class CreateEndpointRequest(NamedTuple):
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
        mac = object_field(fields, "Interface").get("MacAddress")
        if mac:
            raise RequestError(
                f"field Interface.MacAddress={shown(mac)}: a CAN interface has no MAC address",
                "remove --mac-address or mac_address from the container, whose first network gets "
                "it, and give it to the endpoint of the IP network: in compose under the service "
                "'networks: default: mac_address: …'; with docker 25 or newer "
                "'--network name=NETWORK,mac-address=…'",
            )
        return cls(
            engine_id(fields, "NetworkID"),
            engine_id(fields, "EndpointID"),
            object_field(fields, "Options"),
        )
