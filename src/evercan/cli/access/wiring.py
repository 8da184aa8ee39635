"""Find the interfaces of a network's bus, and the container of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.host import HostAccess
from evercan.cli.access.reach import Target, host_access, plugin_socket, select_plugins
from evercan.cli.errors import CliError, NoAccess, NoAnswer, NoNetwork
from evercan.cli.views.docker import DockerNetwork, DockerPlugin


@dataclass(frozen=True)
class Wiring:
    """A bus interface, and the container of each host end on it by name."""

    bus: str
    ends: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenBus:
    """A network's bus, and what it was found through.

    Attributes:
        engine: the engine.
        host: access to its host.
        wiring: the bus.
    """

    engine: DockerEngine
    host: HostAccess
    wiring: Wiring


@contextmanager
def open_bus(target: Target, network: str) -> Iterator[OpenBus]:
    """Connect to the engine and its host, and find a network's bus.

    Raises:
        CliError: there is no such network, or the host cannot be reached.
    """
    with closing(DockerEngine(target.engine)) as engine:
        # Report a missing plugin before the access to the host is opened.
        select_plugins(engine.plugins(), target.plugin)
        with host_access(engine, target) as host:
            yield OpenBus(engine, host, read_wiring(engine, target, host, network))


def read_wiring(engine: DockerEngine, target: Target, host: HostAccess, name: str) -> Wiring:
    """Read the wiring of the network with a name, an id or the beginning of an id.

    Raises:
        NoNetwork: there is none.
        CliError: the engine does not answer, or only the plugin knows the bus and it cannot be
            reached.
    """
    plugins = select_plugins(engine.plugins(), target.plugin)
    networks = {plugin: engine.networks(plugin.name) for plugin in plugins}
    for plugin, listed in networks.items():
        for network in listed:
            if name in (network.name, network.id) or (
                len(name) >= 12 and network.id.startswith(name)
            ):
                return _wiring(plugin, host, target, network, listed)
    known = [network.name for listed in networks.values() for network in listed]
    raise NoNetwork(name, known, plugins[0].name)


def _wiring(
    plugin: DockerPlugin,
    host: HostAccess,
    target: Target,
    wanted: DockerNetwork,
    listed: Sequence[DockerNetwork],
) -> Wiring:
    """Read the interfaces from the plugin; derive them if it cannot be reached."""
    try:
        status = plugin_socket(plugin, host, target).get("/status")
    except (NoAccess, NoAnswer):
        return derived_wiring(wanted, listed)
    return reported_wiring(status, wanted, listed)


def reported_wiring(
    status: Mapping[str, Any], wanted: DockerNetwork, listed: Sequence[DockerNetwork]
) -> Wiring:
    """Read the wiring of a network's bus, with all networks on it, from the plugin's status."""
    known = status.get("networks") or []
    bus = next(
        (network.get("bus") for network in known if network.get("network") == wanted.id), None
    )
    if bus is None:
        return derived_wiring(wanted, listed)
    names = {member.endpoint: member.container for network in listed for member in network.members}
    return Wiring(
        bus,
        {
            end: names.get(endpoint.get("endpoint"), end)
            for network in known
            if network.get("bus") == bus
            for endpoint in network.get("endpoints") or ()
            # What a member with limits sends arrives on its filter interface only.
            if (
                end := (endpoint.get("access") or {}).get("filter_interface")
                or endpoint.get("host_end")
            )
        },
    )


def derived_wiring(wanted: DockerNetwork, listed: Sequence[DockerNetwork]) -> Wiring:
    """Derive the wiring from options and ids, by the names that the plugin gives at first.

    Raises:
        CliError: the plugin has chosen the bus's number (``vxcan.id=auto``).
    """
    bus = _bus_of(wanted)
    if bus is None:
        raise CliError(
            f"network {wanted.name} has vxcan.id=auto, and only the plugin knows its number",
            "run the command where the plugin's socket can be reached: as root on the host",
        )
    return Wiring(
        bus,
        {
            f"vxcan{member.endpoint[:8]}": member.container
            for network in listed
            if _bus_of(network) == bus
            for member in network.members
        },
    )


def _bus_of(network: DockerNetwork) -> str | None:
    options = network.options
    if options.get("vxcan.id") == "auto":
        return None
    return f"{options.get('vxcan.dev', 'vcan')}{options.get('vxcan.id', '0')}"
