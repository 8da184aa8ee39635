"""``evercan adopt``: give the engine's networks back to a plugin that lost its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from evercan.cli.access.engine import Engine, Network, Plugin
from evercan.cli.access.host import Host
from evercan.cli.access.reach import Wish, choose, host_of, socket_of


def adopt(wish: Wish, *, prune: bool) -> int:
    """Adopt; print the report; return the exit status.

    Raises:
        CliError: the engine or a plugin cannot be asked.
    """
    to_do: list[str] = []
    with ExitStack() as stack:
        engine = stack.enter_context(closing(Engine(wish.engine)))
        plugins = choose(engine.plugins(), wish.plugin)
        host = stack.enter_context(host_of(engine, wish))
        for plugin in plugins:
            networks, answer = _give(engine, plugin, host, wish, [])
            if prune and (strays := _strays(answer)):
                # What was being made while the engine was asked is in its next list.
                _, pruned = _give(engine, plugin, host, wish, strays)
                answer |= {key: pruned[key] for key in ("Strays", "Pairs")}
            lines, left = report(networks, answer)
            to_do += left
            print(f"plugin {plugin.name}")
            print("\n".join(lines) or "  the engine has no network of it")
            bare, _, tag = plugin.name.rpartition(":")
            if wish.plugin == bare and tag == "latest":
                to_do += [
                    f"create network {each.name} again with driver {plugin.name}: the engine finds "
                    f"no plugin by the name {bare}, without its tag"
                    for each in engine.networks(bare)
                ]
    if to_do:
        print("left to do:")
        print("\n".join(f"  {each}" for each in dict.fromkeys(to_do)))
        return 1
    print("all is on record")
    return 0


def _give(
    engine: Engine, plugin: Plugin, host: Host, wish: Wish, prune: Sequence[str]
) -> tuple[Sequence[Network], dict[str, Any]]:
    """Give the plugin the engine's networks as they are listed now; return them and its answer."""
    networks = engine.networks(plugin.name, options=True)
    body = {"Networks": claims(networks), "Prune": prune}
    return networks, socket_of(plugin, host, wish).post("/adopt", body)


def _strays(answer: dict[str, Any]) -> list[str]:
    """Name what the plugin has reported and the engine does not have."""
    networks = [each["NetworkID"] for each in answer["Strays"] if each["Outcome"] == "reported"]
    return networks + [each["HostEnd"] for each in answer["Pairs"] if each["Outcome"] == "reported"]


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
        for each in answer["Pairs"]
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
