"""The state file's format: the declared state as JSON, and back, checked field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import orjson

from evercan.model.access import Access, AskedAccess, read_ids
from evercan.model.controller import ControllerSettings
from evercan.model.declared import BusKind, Configured, Declared, Endpoint, Network, Phase
from evercan.model.fault import MAX_FAULTS, WHOLE, Effect, Fault
from evercan.model.rule import OWNER_MARK, Rule
from evercan.values import fields_of

VERSION = 4
"""The version that is written; older ones are still read.

2 added ``settings`` and ``granted`` of a network and ``altname`` of an endpoint; 3 replaced
``granted`` by ``configured``, which lists the controllers that evercan has configured, and
added ``alias``, ``link_kind``, ``auto_prefix`` and ``bridge`` of a network, ``ifname`` of an
endpoint, and ``host_rules``; 4 added ``access`` of a network and of an endpoint, ``faults``
and ``fault_queues``.
"""

_T = TypeVar("_T")


class NewerVersionError(Exception):
    """The file is of a version that is not known yet."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def encode(declared: Declared) -> bytes:
    """Encode the declared state as JSON that a person can read."""
    return orjson.dumps(
        {
            "format": "evercan-state",
            "version": VERSION,
            "boot": declared.boot,
            "networks": list(declared.networks.values()),
            "endpoints": list(declared.endpoints.values()),
            "retired": sorted(declared.retired),
            "configured": [
                {"ifindex": index, **known._asdict()}
                for index, known in sorted(declared.configured.items())
            ],
            "host_rules": [
                {
                    "source": rule.source,
                    "target": rule.target,
                    "flags": rule.flags,
                }
                for rule in sorted(declared.host_rules)
            ],
            "faults": list(declared.faults),
            "fault_queues": sorted(declared.fault_queues),
        },
        default=fields_of,
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def decode(data: bytes) -> Declared:
    """Decode what ``encode`` wrote.

    Raises:
        NewerVersionError: its version is newer than ``VERSION``.
        ValueError, KeyError, TypeError, AttributeError: it is something else.
    """
    document = orjson.loads(data)
    if document["format"] != "evercan-state":
        raise ValueError(f"its format is {document['format']!r}")
    version = document["version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"its version is {version!r}")
    if version > VERSION:
        raise NewerVersionError(version)
    networks = _read_list(document["networks"], _network)
    endpoints = _read_list(document["endpoints"], _endpoint)
    known = {network.id for network in networks}
    strays = [endpoint.id for endpoint in endpoints if endpoint.network not in known]
    if strays:
        raise ValueError(f"endpoint {strays[0]} has no network")
    return Declared(
        boot=_text(document["boot"]),
        networks={network.id: network for network in networks},
        endpoints={endpoint.id: endpoint for endpoint in endpoints},
        retired=frozenset(_read_list(document["retired"], _text)),
        configured=dict(_read_list(document.get("configured", []), _configured)),
        host_rules=frozenset(_read_list(document.get("host_rules", []), _host_rule)),
        faults=tuple(
            fault
            for fault in _read_list(document.get("faults", []), _fault)
            if fault.network in known
        ),
        fault_queues=frozenset(_read_list(document.get("fault_queues", []), _number)),
    )


def _read_list(items: Any, read: Callable[[Any], _T]) -> list[_T]:
    if not isinstance(items, list):
        raise TypeError(f"a list was expected, not {type(items).__name__}")
    return [read(item) for item in items]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was expected, not {type(value).__name__}")
    return value


def _optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return None if value is None else _text(value)


def _network(fields: Mapping[str, Any]) -> Network:
    owns = fields["owns_bus"]
    if not isinstance(owns, bool):
        raise TypeError("owns_bus is neither true nor false")
    return Network(
        id=_text(fields["id"]),
        bus=_text(fields["bus"]),
        kind=BusKind(fields["kind"]),
        alias=_optional_text(fields, "alias"),
        auto_prefix=_optional_text(fields, "auto_prefix"),
        link_kind=_text(fields.get("link_kind", "vcan")),
        owns_bus=owns,
        peer_prefix=_text(fields["peer_prefix"]),
        settings=_settings(fields.get("settings", {})),
        bridge=tuple(_read_list(fields.get("bridge", []), _text)),
        access=AskedAccess(*_access(fields.get("access") or {})),
    )


def _settings(given: Any) -> ControllerSettings:
    if not isinstance(given, dict):
        raise TypeError(f"settings are {type(given).__name__}, not an object")
    types = get_type_hints(ControllerSettings)
    for name, value in given.items():
        # isinstance takes a bool for an int, and here neither may stand for the other.
        if value is not None and type(value) not in get_args(types[name]):
            raise TypeError(f"setting {name} is {value!r}")
    return ControllerSettings(**given)


def _host_rule(fields: Mapping[str, Any]) -> Rule:
    numbers = [fields[name] for name in ("source", "target", "flags")]
    for number in numbers:
        if type(number) is not int or number < 0:
            raise TypeError(f"a rule between interfaces of the host has {number!r}")
    source, target, flags = numbers
    return Rule(source, target, flags, extras=OWNER_MARK)


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"a number was expected, not {value!r}")
    return value


def _fault(fields: Mapping[str, Any]) -> Fault:
    effect = Effect(**{name: _number(value) for name, value in fields["effect"].items()})
    slot, until = _number(fields["slot"]), fields["until"]
    if not 1 <= slot <= MAX_FAULTS or max(effect.loss, effect.duplicate, effect.corrupt) > WHOLE:
        raise ValueError(f"a fault has slot {slot} and effect {effect}")
    if until is not None and type(until) not in (int, float):
        raise TypeError(f"a fault ends at {until!r}")
    ids = _text(fields["ids"])
    if ids:
        read_ids(ids)
    return Fault(
        network=_text(fields["network"]),
        slot=slot,
        source=_text(fields["source"]),
        target=_text(fields["target"]),
        ids=ids,
        effect=effect,
        until=until,
    )


def _configured(fields: Mapping[str, Any]) -> tuple[int, Configured]:
    index, made = fields["ifindex"], fields["made"]
    if type(index) is not int:
        raise TypeError(f"ifindex is {index!r}")
    return index, Configured(
        asked=_settings(fields["asked"]), made=None if made is None else _settings(made)
    )


def _endpoint(fields: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        id=_text(fields["id"]),
        network=_text(fields["network"]),
        host_end=_text(fields["host_end"]),
        container_end=_text(fields["container_end"]),
        peer_prefix=_text(fields["peer_prefix"]),
        phase=Phase(fields["phase"]),
        altname=_optional_text(fields, "altname"),
        ifname=_optional_text(fields, "ifname"),
        access=Access(*map(_required, _access(fields["access"]))) if fields.get("access") else None,
    )


def _access(given: Any) -> Iterator[Any]:
    """Read the fields of ``AskedAccess`` in their order; None where there is none.

    Raises:
        ValueError, TypeError: a field is not one.
    """
    if not isinstance(given, dict):
        raise TypeError(f"access is {type(given).__name__}, not an object")
    for name, kind in (("send", str), ("receive", str), ("send_rate", int), ("send_burst", int)):
        value = given.get(name)
        if value is not None and type(value) is not kind:
            raise TypeError(f"access has {name} {value!r}")
        if isinstance(value, int) and value < 0:
            raise ValueError(f"access has {name} {value}")
        if isinstance(value, str):
            read_ids(value)
        yield value


def _required(value: Any) -> Any:
    if value is None:
        raise TypeError("a field of access is missing")
    return value
