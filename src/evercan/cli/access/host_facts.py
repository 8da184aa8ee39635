"""Read the facts about the engine's host that ``evercan doctor`` judges."""

from __future__ import annotations

from evercan.cli.access.host import HostAccess
from evercan.cli.errors import CliError, NoAccess
from evercan.cli.views.docker import DockerPlugin, release_of
from evercan.cli.views.host import (
    LIMIT_MODULES,
    MODULES,
    WIRE_MODULES,
    HostFacts,
    StateFileFacts,
    parse_host,
    parse_state_file,
)

# $1: the folder under which the host's files are mounted; then the names of modules. For any POSIX
# shell and busybox.
_SCRIPT = r"""
root=$1 kernel=$(uname -r)
echo "kernel $kernel"
echo "machine $(uname -m)"
sed -n 's/^ID=/os /p; s/^PRETTY_NAME=/system /p' "$root/etc/os-release" 2>/dev/null | tr -d '"'
for tree in "$root/lib/modules/$kernel" "$root/usr/lib/modules/$kernel"; do
    [ -d "$tree" ] && echo "tree $tree" && break
done
shift
for module in "$@"; do
    name=$(echo "$module" | tr - _) file=$(echo "$module" | sed 's/-/[-_]/g')
    [ -d "/sys/module/$name" ] && echo "loaded $module"
    grep -qs "/$file\.ko" "$tree/modules.builtin" && echo "builtin $module"
    grep -qs "/$file\.ko[^:]*:" "$tree/modules.dep" && echo "available $module"
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

# $1: the plugin's folder. Prints the two bytes of an ELF header that name the processor.
_MACHINE_SCRIPT = r"""
cd "$1" 2>/dev/null || exit 4
dd if=rootfs/usr/bin/python3 bs=1 skip=18 count=2 2>/dev/null | od -An -tu1
"""
_MACHINES = {"62": "amd64", "183": "arm64", "40": "arm"}
"""Architectures by the first of these bytes; the other is 0."""


def read_host(host: HostAccess) -> HostFacts:
    """Read the facts about a host.

    Raises:
        CliError: it cannot be reached, or has no shell.
    """
    done = host.run(_SCRIPT, host.root, *MODULES, *dict.fromkeys((*LIMIT_MODULES, *WIRE_MODULES)))
    if not done.out.startswith("kernel "):
        raise CliError(f"cannot examine {host.name}: {done.err.strip() or 'no answer'}")
    return parse_host(done.out)


def read_architecture(host: HostAccess, data_root: str, plugin: DockerPlugin) -> str:
    """Return the architecture that a plugin was built for; empty if it is not known.

    It is that of the plugin's interpreter; without access to its files, that of a release's
    documentation.

    Args:
        host: the access to the engine's host.
        data_root: the engine's data folder.
        plugin: the plugin.

    Raises:
        CliError: the host cannot be reached.
    """
    done = host.run(_MACHINE_SCRIPT, f"{host.root}{data_root}/plugins/{plugin.id}")
    found = _MACHINES.get(done.out.strip().removesuffix("0").strip())
    return found or release_of(plugin.documentation)[1]


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
