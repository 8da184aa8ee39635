"""Facts about a host and a plugin's state file, parsed from the output of scripts; no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODULES = ("vcan", "vxcan", "can-gw")
"""Kernel modules that a plugin cannot load itself, named as for modprobe."""

LIMIT_MODULES = ("sch-ingress", "cls-basic", "act-mirred", "act-gact", "em-canid", "act-police")
"""Kernel modules for limits of members, which the kernel loads when they are needed."""


WIRE_MODULES = (
    *("ifb", "sch-tbf", "sch-multiq", "sch-prio", "sch-ingress", "cls-u32", "cls-matchall"),
    *("cls-basic", "em-meta", "act-mpls", "act-mirred", "act-skbedit"),
)
"""Kernel modules for virtual buses with a bitrate, which the kernel loads when they are needed."""


def modules_of_limits(access: Mapping[str, Any]) -> frozenset[str]:
    """Return the kernel modules that a member with limits needs.

    Args:
        access: its limits, as the plugin reports them; empty without limits.
    """
    if not access:
        return frozenset()
    needed = {"sch-ingress", "cls-basic", "act-mirred", "act-gact"}
    if {access["send"], access["receive"]} - {"all", "none"}:
        needed.add("em-canid")
    if access.get("send_rate"):
        needed.add("act-police")
    return frozenset(needed)


@dataclass(frozen=True)
class HostFacts:
    """Facts about a host.

    Attributes:
        kernel: its release, as ``uname -r``.
        machine: as ``uname -m``.
        os: the distribution's id; empty if unknown.
        system: the distribution's full name.
        has_tree: whether the running kernel's modules are on disk.
        built_in: modules that are part of the kernel.
        loaded: modules that are loaded or built in.
        available: modules that can be loaded.
        at_boot: modules that the configuration loads at boot.
        max_hops: can-gw's parameter; None if it is not loaded.
    """

    kernel: str
    machine: str = ""
    os: str = ""
    system: str = ""
    has_tree: bool = False
    built_in: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
    available: frozenset[str] = frozenset()
    at_boot: frozenset[str] = frozenset()
    max_hops: int | None = None


def parse_host(text: str) -> HostFacts:
    """Parse the script's output; ignore unknown lines."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        values.setdefault(word, []).append(rest.strip())

    def one(word: str) -> str:
        return values.get(word, [""])[0]

    def all_of(*heads: str) -> frozenset[str]:
        return frozenset(
            module.replace("_", "-") for head in heads for module in values.get(head, ())
        )

    hops = one("max_hops")
    return HostFacts(
        kernel=one("kernel"),
        machine=one("machine"),
        os=one("os"),
        system=one("system"),
        has_tree="tree" in values,
        built_in=all_of("builtin"),
        loaded=all_of("loaded", "builtin"),
        available=all_of("available", "builtin"),
        at_boot=all_of("at_boot"),
        max_hops=int(hops) if hops.isdecimal() else None,
    )


@dataclass(frozen=True)
class StateFileFacts:
    """Facts about a plugin's state file.

    Attributes:
        present: whether the file exists.
        damaged: names of files that were set aside as damaged.
        networks: ids of the networks in it; None if the file is not valid.
        error: why it is not valid.
    """

    present: bool
    damaged: tuple[str, ...] = ()
    networks: frozenset[str] | None = field(default=None)
    error: str = ""


def parse_state_file(text: str) -> StateFileFacts:
    """Parse a folder's listing, an empty line, and the state file."""
    listing, _, content = text.partition("\n\n")
    names = listing.split("\n") if listing.strip() else []
    damaged = tuple(sorted(name for name in names if ".damaged-" in name))
    if "state.json" not in names:
        return StateFileFacts(present=False, damaged=damaged)
    try:
        document: Mapping[str, Any] = json.loads(content)
        networks = frozenset(str(network["id"]) for network in document["networks"])
        format_ = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{type(error).__name__}: {error}"
        return StateFileFacts(present=True, damaged=damaged, error=message)
    if format_ != "evercan-state":
        return StateFileFacts(present=True, damaged=damaged, error=f"its format is {format_!r}")
    return StateFileFacts(present=True, damaged=damaged, networks=networks)
