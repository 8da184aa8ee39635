"""Reads the case folders of ``tests/unit/planning/plan_cases``.

``declared.toml``: ``[networks.NAME]`` and ``[endpoints.NAME]`` (whose pair is
``vxcanNAME`` and ``vxcanNAMEp``), ``retired``, ``[[faults]]`` in the slots 1, 2, …,
``[configured.IFINDEX]`` with the settings that the kernel made, empty if they were not observed
yet. ``observed.toml``: ``[links.NAME]``,
``rules``, ``can_gw``; ``tagged`` is true, ``"for the host"`` or ``"filter"``; a controller has
``kind = "can"`` and ``can = {model = …}``, and ``bus_off_for``, the seconds since it was first
seen bus-off.
Links have the ifindexes 11, 12, … in their order. ``plan.toml``: ``steps`` in order,
``problems`` with a part of their text or of their remedy.

A rule is written ``"SOURCE > TARGET"`` and the words that apply: ``fd``, ``echo``,
``drops-own`` (without CAN_IIF_TX_OK), ``unlimited`` (without a hop limit),
``filtered``. Rules that are added or removed are compared as multisets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evercan.model.access import Access
from evercan.model.controller import Controller, ControllerSettings, ControllerState, Timing
from evercan.model.declared import BusKind, Configured, Declared, Endpoint, Network, Phase
from evercan.model.fault import Effect, Fault
from evercan.model.observed import FD_MTU, FILTER_GROUP, HOST_GROUP, LINK_GROUP, Link, Observed
from evercan.model.rule import Rule
from evercan.model.rule_table import RuleTable
from evercan.model.steps import (
    AddRules,
    BringDown,
    BringUp,
    ClearTag,
    ConfigureBus,
    DeleteLink,
    MakeBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    NameEnd,
    RemoveRules,
    RepairPair,
    RestartBus,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)
from evercan.planning.plan import Plan
from evercan.values import fields_of, replace
from tests.support.fake_controllers import GS_USB, MCP251XFD, SJA1000

ECHO, IIF_TX_OK, FD = 0x01, 0x04, 0x08
_GROUPS = {False: 0, True: LINK_GROUP, "for the host": HOST_GROUP, "filter": FILTER_GROUP}
FILTER = b"\x0c\x00\x0b\x00\x23\x01\x00\x00\xff\x07\x00\x00"


@dataclass(frozen=True)
class Case:
    name: str
    declared: Declared
    observed: Observed
    steps: list[object]
    problems: list[dict[str, str]]


def read_case(folder: Path) -> Case:
    declared, observed, plan = (
        tomllib.loads((folder / f"{part}.toml").read_text())
        if (folder / f"{part}.toml").exists()
        else {}
        for part in ("declared", "observed", "plan")
    )
    return Case(
        name=folder.name,
        declared=_declared(declared),
        observed=_observed(observed),
        steps=[_sorted(step) for step in plan.get("steps", [])],
        problems=plan.get("problems", []),
    )


def _declared(document: Mapping[str, Any]) -> Declared:
    return Declared(
        boot="boot-1",
        networks={
            name: Network(
                id=name,
                bus=fields["bus"],
                kind=BusKind(fields.get("kind", "virtual")),
                alias=fields.get("alias"),
                link_kind=fields.get("link_kind", "vcan"),
                owns_bus=fields.get("owns_bus", False),
                settings=ControllerSettings(**fields.get("settings", {})),
            )
            for name, fields in document.get("networks", {}).items()
        },
        endpoints={
            name: Endpoint(
                id=name,
                network=fields["network"],
                host_end=f"vxcan{name}",
                container_end=f"vxcan{name}p",
                peer_prefix="vcanp",
                phase=Phase(fields["phase"]),
                altname=fields.get("altname"),
                access=Access(**fields["access"]) if "access" in fields else None,
            )
            for name, fields in document.get("endpoints", {}).items()
        },
        retired=frozenset(document.get("retired", [])),
        faults=tuple(
            Fault(slot=slot, **{**fields, "effect": Effect(**fields["effect"])})
            for slot, fields in enumerate(document.get("faults", []), start=1)
        ),
        configured={
            int(index): _configured(made, document)
            for index, made in document.get("configured", {}).items()
        },
    )


def _configured(made: Mapping[str, Any], document: Mapping[str, Any]) -> Configured:
    """Read what the kernel made of the settings of the case's network."""
    (asked,) = (
        ControllerSettings(**fields["settings"])
        for fields in document["networks"].values()
        if fields.get("settings")
    )
    return Configured(asked, made=ControllerSettings(**made) if made else None)


def _observed(document: Mapping[str, Any]) -> Observed:
    links = {
        name: Link(
            index=index,
            name=name,
            kind=fields.get("kind", ""),
            is_can=fields.get("is_can", True),
            up=fields.get("up", True),
            running=fields.get("up", True),
            group=_GROUPS[fields.get("tagged", False)],
            peer_index=1000 + index if fields.get("kind") == "vxcan" else None,
            peer_nsid=fields.get("nsid"),
            altnames=frozenset(fields.get("altnames", [])),
            mtu=fields.get("mtu", FD_MTU),
            controller=_controller(fields["can"], fields.get("up", True))
            if "can" in fields
            else None,
        )
        for index, (name, fields) in enumerate(document.get("links", {}).items(), start=11)
    }
    return Observed(
        links=links,
        rules=RuleTable.of(read_rule(text, links) for text in document.get("rules", [])),
        can_gw=document.get("can_gw", True),
        bus_off_since={
            links[name].index: -fields["bus_off_for"]
            for name, fields in document.get("links", {}).items()
            if "bus_off_for" in fields
        },
    )


def _controller(fields: Mapping[str, Any], up: bool) -> Controller:
    """Read ``can = {…}``: the model of the controller, which is its driver's name, and more."""
    model = {"sja1000": SJA1000, "mcp251xfd": MCP251XFD, "gs_usb": GS_USB}[fields["model"]]
    state = ControllerState(fields.get("state", "error-active" if up else "stopped"))
    rates = fields_of(Timing()).keys()
    return replace(
        model,
        state=state,
        timing=Timing(**{name: fields[name] for name in rates & fields.keys()}),
        **{name: fields[name] for name in fields.keys() - rates - {"model", "state"}},
    )


def read_rule(text: str, links: Mapping[str, Link]) -> Rule:
    source, _, target, *words = text.split()
    assert set(words) <= {"fd", "echo", "drops-own", "unlimited", "filtered"}, text
    flags = 0 if "drops-own" in words else IIF_TX_OK
    flags |= FD if "fd" in words else 0
    flags |= ECHO if "echo" in words else 0
    return Rule(
        links[source].index,
        links[target].index,
        flags,
        0 if "unlimited" in words else 1,
        FILTER if "filtered" in words else b"",
    )


def write_rule(rule: Rule, observed: Observed) -> str:
    name = {link.index: link.name for link in observed.links.values()}
    words = [name[rule.source], ">", name[rule.target]]
    words += ["fd"] if rule.flags & FD else []
    words += ["echo"] if rule.flags & ECHO else []
    words += [] if rule.flags & IIF_TX_OK else ["drops-own"]
    words += [] if rule.hops else ["unlimited"]
    words += ["filtered"] if rule.extras else []
    return " ".join(words)


def write_steps(plan: Plan, observed: Observed) -> list[object]:
    """Write a plan's steps as ``plan.toml`` has them."""
    return [_write_step(step, observed) for step in plan.steps]


def _write_step(step: Step, observed: Observed) -> object:
    match step:
        case AddRules(bus, rules):
            return {"add_to": bus, "rules": sorted(write_rule(rule, observed) for rule in rules)}
        case RemoveRules(bus, rules):
            written = sorted(write_rule(rule, observed) for rule in rules)
            return {"remove_from": bus, "rules": written}
        case MakeFilterInterface() | SetFilters():
            return _write_step_of_filters(step, observed)
        case SetFaults(bus, endpoint, index, name, marker, queue):
            assert name == _name_of(index, observed)
            where = f" marked on {_name_of(marker, observed)}" if marker else ""
            whose = f" for {endpoint}" if endpoint else ""
            return {
                "faults": f"{name}{where}{whose} on {bus}",
                "bands": [
                    f"{slot} {'drops' if band is None else band.limit}"
                    for slot, band in (queue.bands if queue else ())
                ],
                "matches": [
                    f"{match.slot} {match.source or 'all'} {match.can_id:X}:{match.mask:X}"
                    + (f" 1/{match.one_in}" if match.one_in else "")
                    for match in (queue.matches if queue else ())
                ],
            }
        case MakeWire(bus, name, _, wire):
            return f"make wire {name} of {bus}, {wire.words()}"
        case SetWireEntry(bus, endpoint, _, name, entry):
            return f"lead {name} of {endpoint} {'past' if entry is None else 'into'} {bus}"
        case MakePair() | RepairPair() | NameEnd():
            return _write_step_of_pair(step, observed)
        case _:
            return _write_step_of_link(step, observed)


def _write_step_of_pair(step: MakePair | RepairPair | NameEnd, observed: Observed) -> str:
    match step:
        case MakePair(bus, endpoint, host_end, container_end):
            return f"create pair {host_end} {container_end} for {endpoint} on {bus}"
        case RepairPair(bus, endpoint, host_end, _, (nsid, inside), altname):
            named = f" as {altname}" if altname else ""
            return f"repair pair {host_end} {inside} in {nsid} for {endpoint} on {bus}{named}"
        case NameEnd(bus, endpoint, index, altname):
            return f"name {_name_of(index, observed)} {altname} for {endpoint} on {bus}"


def _write_step_of_filters(step: MakeFilterInterface | SetFilters, observed: Observed) -> str:
    match step:
        case MakeFilterInterface(bus, endpoint, name):
            return f"create filter interface {name} for {endpoint} on {bus}"
        case SetFilters(bus, endpoint, index, name, ingress, filters):
            assert name == _name_of(index, observed)
            hook = "ingress" if ingress else "egress"
            whither = {wanted.target for wanted in filters} - {0}
            names = ",".join(_name_of(target, observed) for target in whither) or "nowhere"
            return f"filter {hook} of {name} to {names} for {endpoint} on {bus}"


def _write_step_of_link(
    step: MakeBus
    | BringUp
    | BringDown
    | SetMtu
    | ConfigureBus
    | RestartBus
    | DeleteLink
    | ClearTag,
    observed: Observed,
) -> str:
    match step:
        case MakeBus(bus, for_host):
            return f"create bus {bus}" + (" for the host" if for_host else "")
        case BringUp(_, _, name):
            return f"bring {name} up"
        case BringDown(_, _, index, name):
            assert name == _name_of(index, observed)
            return f"set {name} down"
        case SetMtu(_, _, index, name, mtu):
            assert name == _name_of(index, observed)
            return f"set the MTU of {name} to {mtu}"
        case ConfigureBus(_, index, name, settings, _, was_up):
            assert name == _name_of(index, observed)
            verb = f"set {name} down and configure it" if was_up else f"configure {name}"
            return f"{verb} with {settings.words()}"
        case RestartBus(_, index, name):
            assert name == _name_of(index, observed)
            return f"restart {name}"
        case DeleteLink(index, name):
            assert name == _name_of(index, observed)
            return f"delete {name}"
        case ClearTag(index, name):
            assert name == _name_of(index, observed)
            return f"clear the tag of {name}"


def _name_of(index: int, observed: Observed) -> str:
    (name,) = [link.name for link in observed.links.values() if link.index == index]
    return name


def _sorted(step: Any) -> object:
    return {**step, "rules": sorted(step["rules"])} if isinstance(step, dict) else step
