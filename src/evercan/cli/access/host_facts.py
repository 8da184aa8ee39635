"""What is read from the engine's host: one script that only looks, and the reading of its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.host import Host
from evercan.cli.errors import CliError, NoAccess

MODULES = ("vcan", "vxcan", "can-gw")
"""What a plugin cannot load itself, as modprobe wants the names."""

# $1: path under which the host's files are seen. Any POSIX shell, any busybox.
_LOOK = r"""
root=$1 kernel=$(uname -r)
echo "kernel $kernel"
echo "machine $(uname -m)"
sed -n 's/^ID=/os /p; s/^PRETTY_NAME=/system /p' "$root/etc/os-release" 2>/dev/null | tr -d '"'
for tree in "$root/lib/modules/$kernel" "$root/usr/lib/modules/$kernel"; do
    [ -d "$tree" ] && echo "tree $tree" && break
done
for module in vcan vxcan can-gw; do
    [ -d "/sys/module/$(echo "$module" | tr - _)" ] && echo "loaded $module"
    grep -qs "/$module\.ko" "$tree/modules.builtin" && echo "builtin $module"
    grep -qs "/$module\.ko[^:]*:" "$tree/modules.dep" && echo "available $module"
done
[ -r /sys/module/can_gw/parameters/max_hops ] &&
    echo "max_hops $(cat /sys/module/can_gw/parameters/max_hops)"
sed -n 's/^[[:space:]]*\([A-Za-z0-9_-]\{1,\}\)[[:space:]]*$/at_boot \1/p' \
    "$root"/etc/modules "$root"/etc/modules-load.d/*.conf \
    "$root"/usr/lib/modules-load.d/*.conf 2>/dev/null
exit 0
"""

# $1: the plugin's folder for its state.
_RECORD = r"""
cd "$1" 2>/dev/null || { [ -e "$1" ] && exit 3; exit 4; }
ls
echo
cat state.json
"""
_CLOSED, _NO_FOLDER = 3, 4


@dataclass(frozen=True)
class HostFacts:
    """What is known of a host.

    Attributes:
        kernel: its release, as ``uname -r``.
        machine: as ``uname -m``.
        os: the distribution's id; empty if it does not say.
        system: its name for people.
        has_tree: the running kernel's modules are on disk.
        built_in: modules that are part of the kernel.
        loaded: modules that are loaded or built in.
        available: modules that can be loaded.
        at_boot: modules that are loaded at boot by configuration.
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


def read_facts(text: str) -> HostFacts:
    """Read what the script says; lines that mean nothing are passed over."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        said.setdefault(word, []).append(rest.strip())

    def one(word: str) -> str:
        return said.get(word, [""])[0]

    def all_of(*heads: str) -> frozenset[str]:
        return frozenset(each.replace("_", "-") for head in heads for each in said.get(head, ()))

    hops = one("max_hops")
    return HostFacts(
        kernel=one("kernel"),
        machine=one("machine"),
        os=one("os"),
        system=one("system"),
        has_tree="tree" in said,
        built_in=all_of("builtin"),
        loaded=all_of("loaded", "builtin"),
        available=all_of("available", "builtin"),
        at_boot=all_of("at_boot"),
        max_hops=int(hops) if hops.isdecimal() else None,
    )


def look(host: Host) -> HostFacts:
    """Look at a host.

    Raises:
        CliError: there is no way to it, or it has no shell.
    """
    done = host.run(_LOOK, host.root)
    if not done.out.startswith("kernel "):
        raise CliError(f"{host.name} cannot be looked at: {done.err.strip() or 'no answer'}")
    return read_facts(done.out)


@dataclass(frozen=True)
class RecordFacts:
    """What is on disk of a plugin's record.

    Attributes:
        present: the state file is there.
        damaged: names of files that were set aside as damaged.
        networks: network ids on record; None if the file cannot be understood.
        mistake: why it cannot be understood.
    """

    present: bool
    damaged: tuple[str, ...] = ()
    networks: frozenset[str] | None = field(default=None)
    mistake: str = ""


def read_record(text: str) -> RecordFacts:
    """Read a listing, an empty line, and the state file."""
    listing, _, content = text.partition("\n\n")
    names = listing.split("\n") if listing.strip() else []
    damaged = tuple(sorted(each for each in names if ".damaged-" in each))
    if "state.json" not in names:
        return RecordFacts(present=False, damaged=damaged)
    try:
        document: Mapping[str, Any] = json.loads(content)
        networks = frozenset(str(each["id"]) for each in document["networks"])
        format_ = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        mistake = f"{type(error).__name__}: {error}"
        return RecordFacts(present=True, damaged=damaged, mistake=mistake)
    if format_ != "evercan-state":
        return RecordFacts(present=True, damaged=damaged, mistake=f"its format is {format_!r}")
    return RecordFacts(present=True, damaged=damaged, networks=networks)


def record(host: Host, data_root: str, plugin_id: str) -> RecordFacts:
    """Read a plugin's record.

    Args:
        host: the way to the engine's host.
        data_root: the engine's data folder.
        plugin_id: the engine's id of the plugin.

    Raises:
        NoAccess: this needs root.
        CliError: there is no such folder.
    """
    folder = f"{host.root}{data_root}/plugins/{plugin_id}/propagated-mount"
    done = host.run(_RECORD, folder)
    if done.status == _CLOSED:
        raise NoAccess("this needs root (sudo)")
    if done.status == _NO_FOLDER:
        # A closed folder further up hides whether there is one.
        raise NoAccess(f"{folder.removeprefix(host.root)} is not seen; run this as root (sudo)")
    return read_record(done.out)
