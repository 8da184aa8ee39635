"""``evercan adopt``: give the engine's networks back to a plugin that lost its record."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evercan.cli import plugin as plugin_socket
from evercan.cli.engine import Engine, Network, Plugin
from evercan.cli.errors import CliError

_EPILOG = """\
exit status: 0 all is on record and well; 1 something is left to do, the report says what;
2 nothing could be done.

  sudo evercan adopt
  sudo evercan adopt --driver wsovalle/vxcan:latest
"""


def add_to(commands: Any) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "adopt",
        help="give the engine's networks back to the plugin",
        description="Read the engine's networks and running containers and put them on the "
        "plugin's record, for a plugin that was removed and created again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--driver",
        metavar="NAME",
        help="the plugin of this name, with networks made by whichever plugin had the name "
        "before; default: every enabled evercan",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="let the plugin forget networks that the engine does not have, and delete interface "
        "pairs of its own that no container has",
    )
    parser.add_argument(
        "--sockets",
        metavar="FOLDER",
        type=Path,
        default=plugin_socket.FOLDER,
        help="where the engine keeps its plugins' sockets; default: %(default)s",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Adopt; print the report; return the exit status.

    Raises:
        CliError: the engine or a plugin cannot be asked.
    """
    engine = Engine(os.environ.get("DOCKER_HOST", ""))
    to_do: list[str] = []
    for plugin in choose(engine.plugins(), given.driver):
        networks = engine.networks(plugin.name)
        answer = plugin_socket.ask(
            plugin, given.sockets, "/adopt", {"Networks": claims(networks), "Prune": given.prune}
        )
        lines, left = report(networks, answer)
        to_do += left
        print(f"plugin {plugin.name}")
        print("\n".join(lines) or "  the engine has no network of it")
        bare, _, tag = plugin.name.rpartition(":")
        if given.driver == bare and tag == "latest":
            to_do += [
                f"create network {each.name} again with driver {plugin.name}: the engine finds no "
                f"plugin by the name {bare}, without its tag"
                for each in engine.networks(bare)
            ]
    if to_do:
        print("left to do:")
        print("\n".join(f"  {each}" for each in dict.fromkeys(to_do)))
        return 1
    print("all is on record")
    return 0


def choose(plugins: Sequence[Plugin], driver: str | None) -> list[Plugin]:
    """Pick the plugins to give networks to.

    Raises:
        CliError: there is none, or it is disabled.
    """
    wanted = [
        each for each in plugins if driver in (None, each.name, each.name.removesuffix(":latest"))
    ]
    if not wanted:
        others = f" (it has {', '.join(each.name for each in plugins)})" if plugins else ""
        name = driver or "evercan:latest"
        raise CliError(
            f"the engine has no evercan named {name}{others}; create it under that name: "
            f"docker plugin create {name} dist/plugin && docker plugin enable {name}"
        )
    enabled = [each for each in wanted if each.enabled]
    if not enabled:
        name = wanted[0].name
        raise CliError(f"plugin {name} is disabled; run 'docker plugin enable {name}' first")
    return enabled


def claims(networks: Sequence[Network]) -> list[dict[str, Any]]:
    """Write what the engine lists as the plugin reads it."""
    return [
        {
            "NetworkID": each.id,
            "Options": dict(each.options),
            "Endpoints": [
                {"EndpointID": member.endpoint, "Options": dict(member.options)}
                for member in each.members
            ],
        }
        for each in networks
    ]


def report(networks: Sequence[Network], answer: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Write the plugin's answer in the names that people know.

    Returns:
        The lines of the report, and what is left to do.
    """
    by_id = {each.id: each for each in networks}
    lines: list[str] = []
    to_do: list[str] = []
    for found in answer["Networks"]:
        network = by_id[found["NetworkID"]]
        lines.append(f"  network {network.name}: {_words(found, found['Bus'])}")
        to_do += [f"network {network.name}: {each}" for each in _complaints(found)]
        names = {each.endpoint: each.container for each in network.members}
        for each in found["Endpoints"]:
            container = names[each["EndpointID"]]
            lines.append(f"    container {container}: {_words(each, each['HostEnd'])}")
            if each["Outcome"] == "restart":
                to_do.append(f"docker restart {container}")
            else:
                to_do += [f"container {container}: {one}" for one in _complaints(each)]
    lines += [
        f"  stray {each['NetworkID'][:12]}: {_words(each, each['Bus'])}"
        for each in answer["Strays"]
    ]
    lines += [
        f"  stray pair {each['HostEnd']}: {_PAIR_OUTCOMES.get(each['Outcome'], each['Outcome'])}"
        for each in answer.get("Pairs", [])
    ]
    return lines, to_do


_OUTCOMES = {
    "adopted": "adopted",
    "known": "was on record",
    "restart": "its interface is not there",
    "refused": "refused",
    "reported": "on record, unknown to the engine; --prune forgets it",
    "in-use": "unknown to the engine and kept: a container has an interface of it",
    "forgotten": "forgotten",
}

_PAIR_OUTCOMES = {
    "reported": "in no container and on no record; --prune deletes it",
    "forgotten": "deleted",
}


def _words(finding: dict[str, Any], interface: str) -> str:
    outcome = finding["Outcome"]
    return f"{_OUTCOMES.get(outcome, outcome)}{f' ({interface})' if interface else ''}"


def _complaints(finding: dict[str, Any]) -> Iterator[str]:
    if finding["Outcome"] == "refused":
        yield finding["Text"]
    yield from finding["Troubles"]
