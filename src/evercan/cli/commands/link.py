"""``evercan link add``, ``remove`` and ``status``: join a network to those of other hosts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.links import (
    IMAGE,
    FoundLink,
    NewLink,
    add_link,
    can_networks,
    find_links,
    read_health,
    remove_link,
)
from evercan.cli.errors import CliError, NoNetwork
from evercan.cli.pages.terminal import print_json

HEALTHY, UNHEALTHY = 0, 1
"""Exit statuses."""

PORT = 7447
_LISTEN = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?([0-9]{1,5})?")


def listen_address(text: str) -> tuple[str, int]:
    """Return the host's address and the port of ``[ADDRESS:]PORT``; the address may stand alone.

    Raises:
        CliError: the text is neither.
    """
    bare = text if re.fullmatch(r"[0-9]+", text) or re.search(r":[0-9]+$", text) else f"{text}:"
    match = _LISTEN.fullmatch(bare)
    port = int(match[2] or PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise CliError(
            f"--listen {text} is no address of this host",
            "write [ADDRESS:]PORT, as in 7447 or 10.0.0.5:7447",
        )
    return (match[1] or "").strip("[]"), port


def add(
    address: str,
    network: str,
    *,
    listen: Sequence[str],
    connect: Sequence[str],
    options: dict[str, Any],
) -> int:
    """Create and start a link; print its name.

    Args:
        address: the engine's; empty for the environment's.
        network: the CAN network.
        listen: addresses of this host to listen on.
        connect: addresses of other links.
        options: ``over``, ``bus``, ``host_name``, ``deadline``, ``playout``, ``rate``, ``certs``,
            ``allow``, ``image``.

    Raises:
        CliError: an option is wrong, there is no such network, or the engine rejects it.
    """
    if not listen and not connect:
        raise CliError(
            "a link needs an address to listen on, or to connect to",
            "give --listen 7447 on one host, and --connect ADDRESS on the others",
        )
    ports = [listen_address(text) for text in listen]
    with closing(DockerEngine(address)) as engine:
        _require(engine, network)
        values = {
            "LINK_BUS": options["bus"] or network,
            "LINK_HOST": options["host_name"] or str(engine.info()["Name"]),
            "LINK_LISTEN": ",".join(f"0.0.0.0:{port}" for _, port in ports),
            "LINK_CONNECT": ",".join(connect),
            "LINK_DEADLINE": options["deadline"],
            "LINK_PLAYOUT": options["playout"],
            "LINK_RATE": options["rate"],
            "LINK_ALLOW": options["allow"],
        }
        certs = options["certs"]
        name = add_link(
            engine,
            NewLink(
                network,
                {variable: value for variable, value in values.items() if value},
                ports,
                options["over"],
                Path(certs) if certs else None,
                options["image"] or IMAGE,
            ),
        )
    print(f"{name} links {network} as host {values['LINK_HOST']}; see 'evercan link status'")
    return HEALTHY


def remove(address: str, network: str) -> int:
    """Remove the links of a network.

    Raises:
        CliError: it has none, or the engine does not answer.
    """
    with closing(DockerEngine(address)) as engine:
        found = find_links(engine, network)
        if not found:
            raise CliError(f"network {network} has no link", "'evercan link status' lists links")
        for link in found:
            remove_link(engine, link)
            print(f"{link.container} is removed")
    return HEALTHY


def status(address: str, networks: Sequence[str], *, json: bool) -> int:
    """Show the links of all networks, or of those that are named; return the exit status.

    Raises:
        CliError: the engine does not answer, or a network has no link.
    """
    with closing(DockerEngine(address)) as engine:
        links = find_links(engine)
        for network in networks:
            if network not in {link.network for link in links}:
                raise CliError(f"network {network} has no link", "add one: evercan link add")
        shown = [
            (link, read_health(engine, link))
            for link in links
            if not networks or link.network in networks
        ]
    if json:
        print_json({"schema": 1, "links": [document(link, health) for link, health in shown]})
    elif not shown:
        print("there are no links; add one: evercan link add")
    else:
        print("\n".join(line for link, health in shown for line in lines(link, health)))
    healthy = all(health is not None and health["healthy"] for _, health in shown)
    return HEALTHY if healthy else UNHEALTHY


def document(link: FoundLink, health: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is known of a link as a JSON document."""
    return {
        "container": link.container,
        "network": link.network,
        "running": link.state == "running",
        "health": health,
    }


def lines(link: FoundLink, health: dict[str, Any] | None) -> list[str]:
    """Return what is shown of a link."""
    if health is None:
        word = "does not answer" if link.state == "running" else f"is {link.state}"
        return [f"{link.network}: {link.container} {word}; docker logs {link.container}"]
    first = (
        f"{link.network}: {health['state']}, host {health['host']} of bus {health['bus']}, "
        f"{health['connections']} connected, {health['sent']['frames']} frames sent"
    )
    found = [first]
    found += [
        f"  problem: {problem['text']}; {problem['remedy']}" for problem in health["problems"]
    ]
    if health.get("denied_hosts"):
        denied = ", ".join(health["denied_hosts"])
        found.append(f"  denied: {denied}; connected, and not in --allow")
    if health["sent"].get("unheard"):
        found.append(
            f"  {health['sent']['unheard']} of the frames were sent while nobody was linked"
        )
    for host in health["hosts"]:
        trip = host["round_trip_ms"]
        way = f"round trip {trip} ms" if host["links"] and trip is not None else "not linked"
        counted = ", ".join(
            f"{host[result]} {result}"
            for result in ("delivered", "lost", "late", "doubled", "limited", "failed")
            if host.get(result) or result == "delivered"
        )
        found.append(f"  {host['host']}: {way}, {counted}")
    return found


def _require(engine: DockerEngine, network: str) -> None:
    """Raise NoNetwork if no evercan of the engine has the network."""
    known = can_networks(engine)
    names = [name for _, name in known]
    if network not in names:
        raise NoNetwork(network, names, known[0][0] if known else "evercan")
