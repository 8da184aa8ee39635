"""``evercan adopt``: restore the engine's networks to a plugin that lost its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.host import HostAccess
from evercan.cli.access.plugin import PluginSocket
from evercan.cli.access.reach import Target, host_access, plugin_socket, select_plugins
from evercan.cli.pages.progress import progress
from evercan.cli.pages.terminal import print_json
from evercan.cli.views.docker import DockerNetwork, DockerPlugin

COMPLETE, INCOMPLETE = 0, 1
"""Exit statuses: everything is restored; something is left to do."""


def adopt(target: Target, *, prune: bool, json: bool) -> int:
    """Restore the networks, print a report, and return the exit status.

    Args:
        target: the engine and the plugin.
        prune: let the plugin forget what the engine does not have.
        json: print a JSON document.

    Raises:
        CliError: the engine or a plugin does not answer.
    """
    reports: list[dict[str, Any]] = []
    with ExitStack() as stack:
        engine = stack.enter_context(closing(DockerEngine(target.engine)))
        plugins = select_plugins(engine.plugins(), target.plugin)
        host = stack.enter_context(host_access(engine, target))
        for plugin in plugins:
            with progress(f"restoring the networks of {plugin.name}"):
                report = _adopt(engine, plugin, host, target, prune=prune)
            reports.append(report)
            if not json:
                print("\n".join(lines(report)))
    to_do = list(dict.fromkeys(step for report in reports for step in report["to_do"]))
    if json:
        print_json({"schema": 1, "plugins": reports, "to_do": to_do})
    elif to_do:
        print("left to do:")
        print("\n".join(f"  {step}" for step in to_do))
    else:
        print("everything is restored")
    return INCOMPLETE if to_do else COMPLETE


def _adopt(
    engine: DockerEngine, plugin: DockerPlugin, host: HostAccess, target: Target, *, prune: bool
) -> dict[str, Any]:
    socket = plugin_socket(plugin, host, target)
    networks, answer = _post(engine, socket, [])
    if prune and (strays := _strays(answer)):
        # The engine is asked again: what was being created before is in its new answer.
        _, pruned = _post(engine, socket, strays)
        answer |= {key: pruned[key] for key in ("Strays", "Pairs", "Rules") if key in pruned}
        answer["Networks"] = [*_with_pruned_endpoints(answer["Networks"], pruned["Networks"])]
    report = report_of(plugin.name, networks, answer)
    bare, _, tag = plugin.name.rpartition(":")
    if target.plugin == bare and tag == "latest":
        report["to_do"] += [
            f"create network {network.name} again with driver {plugin.name}: the engine finds no "
            f"plugin by the name {bare}, without its tag"
            for network in engine.networks(bare)
        ]
    return report


def _post(
    engine: DockerEngine, socket: PluginSocket, prune: Sequence[str]
) -> tuple[Sequence[DockerNetwork], dict[str, Any]]:
    """Send the engine's current networks to the plugin; return them and its answer."""
    networks = engine.networks(socket.plugin.name, options=True)
    return networks, socket.post("/adopt", {"Networks": claims(networks), "Prune": prune})


def _strays(answer: Mapping[str, Any]) -> list[str]:
    """Return what only the plugin has, by the names that it takes to remove it."""
    reported = [stray["NetworkID"] for stray in answer["Strays"] if stray["Outcome"] == "reported"]
    reported += [
        endpoint["EndpointID"]
        for network in answer["Networks"]
        for endpoint in network["Endpoints"]
        if endpoint["Outcome"] == "reported"
    ]
    pairs = [pair["HostEnd"] for pair in answer["Pairs"] if pair["Outcome"] == "reported"]
    rules = [item["Interfaces"] for item in _rules(answer) if item["Outcome"] == "reported"]
    return reported + pairs + rules


def _rules(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the stray rules; a plugin up to 0.1 does not report any."""
    return list(answer.get("Rules", ()))


def _with_pruned_endpoints(
    networks: Sequence[Mapping[str, Any]], pruned: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the first answer's networks with what became of their stray endpoints."""
    became = {
        endpoint["EndpointID"]: endpoint for network in pruned for endpoint in network["Endpoints"]
    }
    for network in networks:
        endpoints = [
            became.get(endpoint["EndpointID"]) if endpoint["Outcome"] == "reported" else endpoint
            for endpoint in network["Endpoints"]
        ]
        yield {**network, "Endpoints": [endpoint for endpoint in endpoints if endpoint is not None]}


def claims(networks: Sequence[DockerNetwork]) -> list[dict[str, Any]]:
    """Return the engine's networks in the form that the plugin reads."""
    return [
        {
            "NetworkID": network.id,
            "Options": dict(network.options),
            "Endpoints": [
                {"EndpointID": endpoint.endpoint, "Options": dict(endpoint.options)}
                for endpoint in network.members
            ],
        }
        for network in networks
    ]


def report_of(
    plugin: str, networks: Sequence[DockerNetwork], answer: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the plugin's answer as a JSON document, with the names of networks and containers."""
    by_id = {network.id: network for network in networks}
    to_do: list[str] = []
    reported = []
    for claim in answer["Networks"]:
        network = by_id[claim["NetworkID"]]
        to_do += [f"network {network.name}: {problem}" for problem in _problems(claim)]
        names = {endpoint.endpoint: endpoint.container for endpoint in network.members}
        containers, strays = [], []
        for endpoint in claim["Endpoints"]:
            name = names.get(endpoint["EndpointID"])
            if name is None:
                strays.append(_finding(endpoint, "EndpointID", "HostEnd"))
                if endpoint["Outcome"] == "reported":
                    # The plugin counts it as a container that lost its interface.
                    to_do.append("evercan adopt --prune")
                continue
            containers.append({"name": name, **_finding(endpoint, "EndpointID", "HostEnd")})
            if endpoint["Outcome"] == "restart":
                to_do.append(f"docker restart {name}")
            else:
                to_do += [f"container {name}: {problem}" for problem in _problems(endpoint)]
        finding = _finding(claim, "NetworkID", "Bus")
        reported.append(
            {
                "name": network.name,
                **finding,
                "containers": containers,
                "stray_endpoints": strays,
            }
        )
    return {
        "plugin": plugin,
        "networks": reported,
        "strays": [_finding(stray, "NetworkID", "Bus") for stray in answer["Strays"]],
        "pairs": [
            {"interface": pair["HostEnd"], "outcome": pair["Outcome"]} for pair in answer["Pairs"]
        ],
        "rules": [
            {"interfaces": item["Interfaces"], "outcome": item["Outcome"]}
            for item in _rules(answer)
        ],
        "to_do": to_do,
    }


def _finding(claim: Mapping[str, Any], identity: str, interface: str) -> dict[str, Any]:
    return {
        "id": claim[identity],
        "interface": claim[interface],
        "outcome": claim["Outcome"],
        "text": claim["Text"],
        "remedy": claim.get("Remedy") or "",
        "problems": list(claim["Troubles"]),
    }


def _problems(claim: Mapping[str, Any]) -> Iterator[str]:
    if claim["Outcome"] == "refused":
        remedy = claim.get("Remedy")
        yield f"{claim['Text']}; {remedy}" if remedy else claim["Text"]
    yield from claim["Troubles"]


_OUTCOMES = {
    "adopted": "adopted",
    "known": "already known",
    "restart": "its interface is missing",
    "refused": "rejected",
    "reported": "unknown to the engine; --prune makes the plugin forget it",
    "in-use": "unknown to the engine and kept: a container has one of its interfaces",
    "forgotten": "forgotten",
}

_PAIR_OUTCOMES = {
    "reported": "belongs to no container and no network; --prune deletes it",
    "forgotten": "deleted",
}


_RULES_OUTCOMES = {
    "reported": "no network needs them; --prune removes them",
    "forgotten": "removed",
}


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a report for people."""
    yield f"plugin {report['plugin']}"
    for network in report["networks"]:
        yield f"  network {network['name']}: {_words(network)}"
        for container in network["containers"]:
            yield f"    container {container['name']}: {_words(container)}"
        for stray in network["stray_endpoints"]:
            yield f"    stray endpoint {stray['id'][:12]}: {_words(stray)}"
    for stray in report["strays"]:
        yield f"  stray network {stray['id'][:12]}: {_words(stray)}"
    for pair in report["pairs"]:
        outcome = _PAIR_OUTCOMES.get(pair["outcome"], pair["outcome"])
        yield f"  stray pair {pair['interface']}: {outcome}"
    for rules in report["rules"]:
        outcome = _RULES_OUTCOMES.get(rules["outcome"], rules["outcome"])
        yield f"  stray rules {rules['interfaces']}: {outcome}"
    if not (report["networks"] or report["strays"] or report["pairs"] or report["rules"]):
        yield "  the engine has no networks of this plugin"


def _words(finding: Mapping[str, Any]) -> str:
    outcome = _OUTCOMES.get(finding["outcome"], finding["outcome"])
    return f"{outcome} ({finding['interface']})" if finding["interface"] else outcome
