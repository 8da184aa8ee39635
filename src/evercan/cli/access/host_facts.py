"""Read the facts about the engine's host that ``evercan doctor`` judges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.host import HostAccess
from evercan.cli.errors import CliError, NoAccess

MODULES = ("vcan", "vxcan", "can-gw")
"""Kernel modules that a plugin cannot load itself, named as for modprobe."""

# $1: the folder under which the host's files are mounted. For any POSIX shell and busybox.
_SCRIPT = r"""
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
_STATE_SCRIPT = r"""
cd "$1" 2>/dev/null || { [ -e "$1" ] && exit 3; exit 4; }
ls
echo
cat state.json
"""
_NO_PERMISSION, _NO_FOLDER = 3, 4


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


def read_host(host: HostAccess) -> HostFacts:
    """Read the facts about a host.

    Raises:
        CliError: it cannot be reached, or has no shell.
    """
    done = host.run(_SCRIPT, host.root)
    if not done.out.startswith("kernel "):
        raise CliError(f"cannot examine {host.name}: {done.err.strip() or 'no answer'}")
    return parse_host(done.out)


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


def read_state_file(host: HostAccess, data_root: str, plugin_id: str) -> StateFileFacts:
    """Read a plugin's state file.

    Args:
        host: the access to the engine's host.
        data_root: the engine's data folder.
        plugin_id: the engine's id of the plugin.

    Raises:
        NoAccess: root is required.
        CliError: the host cannot be reached.
    """
    folder = f"{host.root}{data_root}/plugins/{plugin_id}/propagated-mount"
    done = host.run(_STATE_SCRIPT, folder)
    if done.status == _NO_PERMISSION:
        raise NoAccess("root is required", "run this as root (sudo)")
    if done.status == _NO_FOLDER:
        # A folder above that cannot be read hides whether this one exists.
        raise NoAccess(f"cannot see {folder.removeprefix(host.root)}", "run this as root (sudo)")
    return parse_state_file(done.out)
