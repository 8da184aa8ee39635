"""``evercan fault``: set, show and clear faults on a bus, to test what containers do about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from evercan.cli.access.plugin import PluginSocket
from evercan.cli.access.reach import Target, plugin_socket
from evercan.cli.access.source import OverviewSource, read_overviews
from evercan.cli.errors import CliError
from evercan.cli.pages.terminal import print_json
from evercan.cli.views import words
from evercan.cli.views.overview import NetworkView, Overview, select_networks

_NONE_SET = "no faults are set"


def set_fault(
    target: Target, network: str, source: str, to: str, options: Mapping[str, str | None]
) -> int:
    """Set a fault, and say what it does.

    Args:
        target: the engine and the plugin.
        network: the network's name.
        source: the member that the frames come from; empty for all.
        to: the member that they go to; empty for all.
        options: the others by the name that the plugin has for them; it checks them.

    Raises:
        CliError: the engine or the plugin does not answer, a name is unknown, or the plugin
            rejects an option.
    """
    with OverviewSource(target) as overviews:
        overview, view = _find(overviews.read(), network)
        answer = _socket(overviews, overview, target).post(
            "/fault-set",
            {
                "NetworkID": view.id,
                "From": _member(view, "--from", source),
                "To": _member(view, "--to", to),
                **{name: value for name, value in options.items() if value is not None},
            },
        )
        _, view = _find(overviews.read(), network)
    for fault in view.faults[-1:]:
        print(f"{view.name}: {fault.sentence}")
    for note in answer.get("Notes") or ():
        print(f"note: {note}")
    print(f"clear it with: evercan fault clear {view.name}")
    return 0


def show(target: Target, networks: Sequence[str], *, json: bool) -> int:
    """Show the faults of all networks, or of those that are named.

    Raises:
        CliError: the engine or a plugin does not answer, or a name is unknown.
    """
    overviews = select_networks(read_overviews(target), networks)
    shown = [network for overview in overviews for network in overview.networks]
    if json:
        faults = [
            {"network": network.name, "bus": network.bus, **asdict(fault)}
            for network in shown
            for fault in network.faults
        ]
        print_json({"schema": 1, "faults": faults})
        return 0
    lines = [
        f"{network.name}: {fault.frames}: {fault.effect}"
        f" ({', '.join(filter(None, (fault.ends, counts)))})"
        for network in shown
        for fault in network.faults
        if (counts := f"{words.count(fault.passed)} passed, {words.count(fault.lost)} lost")
    ]
    print("\n".join(lines) or _NONE_SET)
    return 0


def clear(
    target: Target,
    networks: Sequence[str],
    source: str | None,
    to: str | None,
    ids: str | None,
) -> int:
    """Clear the faults of all networks, or of those that are named, and say how many.

    Args:
        target: the engine and the plugin.
        networks: the names of the networks.
        source: clear only faults with this ``--from``; None for all.
        to: clear only faults with this ``--to``; None for all.
        ids: clear only faults with this ``--id``; None for all.

    Raises:
        CliError: the engine or a plugin does not answer, or a name is unknown.
    """
    number = 0
    with OverviewSource(target) as overviews:
        for overview in select_networks(overviews.read(), networks):
            socket = _socket(overviews, overview, target)
            for view in overview.networks:
                if not view.bus:
                    continue  # the plugin does not know it
                request: dict[str, str] = {"NetworkID": view.id}
                if source is not None:
                    request["From"] = _member(view, "--from", source)
                if to is not None:
                    request["To"] = _member(view, "--to", to)
                if ids is not None:
                    request["Id"] = ids
                number += socket.post("/fault-clear", request)["Cleared"]
    print(f"{words.number_of(number, 'fault')} cleared" if number else _NONE_SET)
    return 0


def _socket(overviews: OverviewSource, overview: Overview, target: Target) -> PluginSocket:
    plugins = overviews.engine.plugins()
    plugin = next(plugin for plugin in plugins if plugin.name == overview.plugin)
    return plugin_socket(plugin, overviews.host, target)


def _find(overviews: Sequence[Overview], name: str) -> tuple[Overview, NetworkView]:
    """Find a network by its name.

    Raises:
        CliError: there is none, or the plugin does not know it.
    """
    overview = select_networks(overviews, [name])[0]
    view = overview.networks[0]
    if not view.bus:
        raise CliError(f"the plugin does not know network {name}", "run 'evercan adopt'")
    return overview, view


def _member(view: NetworkView, option: str, name: str) -> str:
    """Return what the plugin calls a member of a bus: an endpoint id, or a host's interface.

    Raises:
        CliError: the network has no member of this name.
    """
    endpoints = {member.container: member.endpoint for member in view.members if member.running}
    if not name or name in (view.bus, *(bridged.name for bridged in view.bridge)):
        return name
    if name not in endpoints:
        known = ", ".join([*sorted(endpoints), view.bus, *(other.name for other in view.bridge)])
        raise CliError(f"{option} {name} is not on network {view.name}", f"members: {known}")
    return endpoints[name]
