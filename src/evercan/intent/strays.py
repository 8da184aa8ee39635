"""Strays: what evercan's state or the kernel has and the engine does not list; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from evercan.intent.findings import Finding, Outcome
from evercan.intent.host_rules import marked_rules
from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.names import FILTER_SUFFIX, is_host_end, wire_names
from evercan.model.observed import Link, Observed
from evercan.model.rule import Rule
from evercan.values import replace


def is_ghost(observed: Observed, endpoint: Endpoint) -> bool:
    """Whether an endpoint counts as joined, and neither a pair nor a namespace is left of it."""
    return (
        endpoint.phase is Phase.JOINED
        and endpoint.host_end not in observed.links
        and endpoint.id not in observed.locations
    )


def stray_endpoint(
    declared: Declared, endpoint: Endpoint, *, prune: Collection[str]
) -> tuple[Declared, Finding]:
    """Report an endpoint of which nothing is left, or remove it if it is named in ``prune``."""
    found = Finding(id=endpoint.id, outcome=Outcome.REPORTED, interface=endpoint.host_end)
    if endpoint.id not in prune:
        return declared, found._replace(
            text=f"endpoint {endpoint.id[:12]} has no interface pair, and the engine does not "
            "list it",
            remedy="remove it with 'evercan adopt --prune'",
        )
    return declared.without_endpoint(endpoint.id), found._replace(outcome=Outcome.FORGOTTEN)


def stray_network(
    declared: Declared, observed: Observed, network: Network, *, prune: Collection[str]
) -> tuple[Declared, Finding]:
    """Report a network that the engine does not list, or remove it if ``prune`` names it."""
    stray = Finding(id=network.id, outcome=Outcome.REPORTED, interface=network.bus)
    if any(_is_taken(observed, member.host_end) for member in declared.endpoints_of(network.id)):
        return declared, stray._replace(
            outcome=Outcome.IN_USE,
            text="the engine does not list it, but a container has an interface of it, so it "
            "is kept",
            remedy="stop that container, then run 'evercan adopt --prune'",
        )
    if network.id not in prune:
        return declared, stray._replace(
            text="evercan knows it, but the engine does not list it",
            remedy="remove it with 'evercan adopt --prune'",
        )
    return declared.without_network(network.id), stray._replace(outcome=Outcome.FORGOTTEN)


def stray_pairs(
    declared: Declared, observed: Observed, *, prune: Collection[str]
) -> tuple[Declared, tuple[Finding, ...]]:
    """Find pairs, filter interfaces and wires of evercan's, in no state, that nobody uses."""
    known = declared.pair_names() | declared.retired
    known |= {name for bus in declared.networks_by_bus() for name in wire_names(bus)}
    names = [
        name
        for name, link in sorted(observed.links.items())
        if name not in known
        and (
            _is_idle_pair(link)
            or _is_idle_filter_interface(observed, link)
            or _is_idle_wire(observed, link)
        )
    ]
    found = _findings(
        names,
        prune,
        "an interface that no container has and no network knows",
        "delete it with 'evercan adopt --prune'",
    )
    return replace(declared, retired=declared.retired | {*names} & {*prune}), found


def _is_idle_pair(link: Link) -> bool:
    return is_host_end(link.name) and link.is_pair and not link.is_in_container


def _is_idle_filter_interface(observed: Observed, link: Link) -> bool:
    if not link.is_filter_interface:
        return False
    return not _is_taken(observed, link.name.removesuffix(FILTER_SUFFIX))


def _is_idle_wire(observed: Observed, link: Link) -> bool:
    return link.is_wire and not any(
        link.index in (entry.wire, entry.meter) for entry in observed.wire_entries.values()
    )


def stray_rules(
    declared: Declared, observed: Observed, *, prune: Collection[str]
) -> tuple[Declared, tuple[Finding, ...]]:
    """Find rules with evercan's mark that are in no state and on no bus of it."""
    name_of = {link.index: link.name for link in observed.links.values()}
    strays: dict[str, set[Rule]] = {}
    for rule in marked_rules(declared, observed)[1] - declared.host_rules:
        if rule.source in name_of and rule.target in name_of:
            ends = " <-> ".join(sorted((name_of[rule.source], name_of[rule.target])))
            strays.setdefault(ends, set()).add(rule)
    found = _findings(
        sorted(strays),
        prune,
        "can-gw rules of evercan's between two interfaces of the host that no network needs",
        "remove them with 'evercan adopt --prune'",
    )
    pruned = {rule for ends in strays if ends in prune for rule in strays[ends]}
    return replace(declared, host_rules=declared.host_rules | pruned), found


def _findings(
    names: Iterable[str], prune: Collection[str], text: str, remedy: str
) -> tuple[Finding, ...]:
    """Find strays of the host, which have no id but a name: forgotten if pruned, else reported."""
    return tuple(
        Finding(id=name, outcome=Outcome.FORGOTTEN, interface=name)
        if name in prune
        else Finding(id=name, outcome=Outcome.REPORTED, interface=name, text=text, remedy=remedy)
        for name in names
    )


def _is_taken(observed: Observed, host_end: str) -> bool:
    """Whether an interface is the host end of a pair that a container has."""
    link = observed.links.get(host_end)
    return link is not None and link.is_pair and link.is_in_container
