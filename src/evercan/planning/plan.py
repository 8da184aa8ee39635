"""What has to happen for the kernel to be as declared; pure.

A plan that is empty is the proof that all is well: the reconciler applies
plans until it gets one, and health is the same plan, not applied.

The rules of a bus: for every two members a ≠ b (the bus interface and each
joined endpoint) one classic and one FD rule from a to b. can-gw forwards a
frame only once (``max_hops``), so a full mesh is needed. Why these flags:

- ``CGW_FLAGS_CAN_ECHO`` towards the bus interface only, so that programs on
  the host see the frame there. Towards a host end nobody listens, and each
  echo would run all rules of that end again.
- ``CGW_FLAGS_CAN_IIF_TX_OK`` always: without it the kernel drops a frame
  whose sender's ifindex *in its container* equals the target's on the host.
- a hop limit of 1, which keeps the former safe at any ``max_hops``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse, repeat
from typing import NamedTuple

from evercan.bus_plan import plan_bus
from evercan.errors import ModuleMissing
from evercan.model import (
    Declared,
    Endpoint,
    Link,
    Observed,
    Phase,
    Rule,
    placeholder_name,
)
from evercan.steps import (
    AddRules,
    DeleteLink,
    DropRules,
    MakePair,
    MendPair,
    NameEnd,
    SetUp,
    Step,
)
from evercan.troubles import Problem, Trouble

__all__ = ["Plan", "Problem", "Trouble", "make_plan", "mesh", "name_holder"]

ECHO, IIF_TX_OK, FD = 0x01, 0x04, 0x08
"""``CGW_FLAGS_CAN_*`` of ``linux/can/gw.h``."""


class Plan(NamedTuple):
    """Steps in the order to take them, and the problems that none of them mends."""

    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()


def mesh(bus_index: int | None, member_indexes: Iterable[int]) -> Iterator[Rule]:
    """Yield every rule that a bus wants, given the ifindexes of its members.

    Without a bus interface (None) the members still hear each other. Rules that will
    have counted alike are neighbours, which is how a dump of them is read fastest.
    """
    ends = [*([] if bus_index is None else [bus_index]), *member_indexes]
    for kind in (0, FD):
        flags = [IIF_TX_OK | kind | (ECHO if each == bus_index else 0) for each in ends]
        for n, source in enumerate(ends):
            targets, whose = ends[:n] + ends[n + 1 :], flags[:n] + flags[n + 1 :]
            yield from Rule.of(zip(repeat(source), targets, whose, repeat(1), repeat(b"")))


def _size(bus_index: int | None, member_indexes: Sequence[int]) -> int:
    """Count the rules of a mesh."""
    ends = len(member_indexes) + (bus_index is not None)
    return 2 * ends * (ends - 1)


def make_plan(declared: Declared, observed: Observed) -> Plan:
    """Compare what is wanted with what is there.

    Links come first; the rules of links that do not exist yet come in the plan
    of the next look, when their ifindexes are known.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    meshes: dict[str, tuple[int | None, list[int]]] = {}

    for bus, networks in declared.networks_by_bus().items():
        members = _plan_pairs(declared, observed, bus, steps, problems)
        bus_link = plan_bus(declared, networks, observed, steps, problems)
        if not observed.can_gw:
            problems.append(
                Problem(kind=Trouble.MODULE_MISSING, bus=bus, text=str(ModuleMissing("can-gw")))
            )
        bus_index = None if bus_link is None else bus_link.index
        meshes[bus] = bus_index, [link.index for link in members]

    if observed.can_gw:
        steps += _plan_rules(declared, observed, meshes)
    steps += _plan_removals(declared, observed)
    return Plan(steps=tuple(steps), problems=tuple(problems))


def _plan_pairs(
    declared: Declared, observed: Observed, bus: str, steps: list[Step], problems: list[Problem]
) -> list[Link]:
    """Plan for the pairs of one bus; return the host ends that rules can be laid to."""
    members: list[Link] = []
    for endpoint in declared.endpoints.values():
        if declared.networks[endpoint.network].bus != bus:
            continue
        if endpoint.phase not in (Phase.CREATED, Phase.OFFERED, Phase.JOINED):
            continue
        link = observed.links.get(endpoint.host_end)
        if link is None:
            remedy = _plan_missing_pair(observed, bus, endpoint)
            if isinstance(remedy, Problem):
                problems.append(remedy)
            else:
                steps.append(remedy)
        elif not link.is_ours:
            problems.append(
                Problem(
                    kind=Trouble.PAIR_FOREIGN,
                    bus=bus,
                    endpoint=endpoint.id,
                    text=f"the host's interface {link.name} bears the name of an endpoint's pair "
                    "and is not evercan's; rename or remove it",
                )
            )
        elif observed.is_half_mended(link):
            steps.append(DeleteLink(link.index, link.name))
        else:
            if not link.up:
                steps.append(SetUp(bus, endpoint.id, link.name))
            steps += _plan_name(observed, bus, endpoint)
            if endpoint.is_member:
                members.append(link)
    return members


def _plan_missing_pair(observed: Observed, bus: str, endpoint: Endpoint) -> Step | Problem:
    sandbox = observed.sandboxes.get(endpoint.id)
    ends = (bus, endpoint.id, endpoint.host_end, endpoint.container_end)
    if endpoint.phase is not Phase.JOINED:
        return MakePair(*ends)
    if sandbox is not None:
        return MendPair(*ends, sandbox, endpoint.altname)
    return Problem(
        kind=Trouble.PAIR_MISSING,
        bus=bus,
        endpoint=endpoint.id,
        text=f"the interface pair {endpoint.host_end} of endpoint {endpoint.id[:12]} is gone from "
        "under a running container; restart the container",
    )


def name_holder(observed: Observed, endpoint: Endpoint) -> Link | None:
    """Find what on the host keeps a container end from getting its name, if anything does.

    The kernel gives names on the host only, before the engine takes the end, and two
    ends of one name cannot be there at once: the second waits for the first to be taken.
    """
    end = observed.links.get(endpoint.container_end)
    if endpoint.altname is None or end is None or endpoint.phase is not Phase.OFFERED:
        return None
    holder = observed.find(endpoint.altname)
    return None if holder == end else holder


def _plan_name(observed: Observed, bus: str, endpoint: Endpoint) -> Iterator[Step]:
    """Plan to name a container end, as soon as the name is free."""
    end = observed.links.get(endpoint.container_end)
    if end is None or endpoint.altname is None or endpoint.phase is not Phase.OFFERED:
        return
    if observed.find(endpoint.altname) is None:
        yield NameEnd(bus, endpoint.id, end.index, endpoint.altname)


def _plan_rules(
    declared: Declared, observed: Observed, meshes: Mapping[str, tuple[int | None, Sequence[int]]]
) -> Iterator[Step]:
    """Plan the rules: what is missing first, then what is surplus and ours.

    A rule is ours if an end of ours is in it (facts of ``net/can/gw.c``: a plain
    rule carries no owner). Adding first means that no frame is lost meanwhile.

    Args:
        declared: what is wanted.
        observed: what is there.
        meshes: by bus, what ``mesh`` is to be given.
    """
    rules = observed.rules
    found = 0
    for bus, ends in meshes.items():
        missing = tuple(filterfalse(rules.__contains__, mesh(*ends)))
        found += _size(*ends) - len(missing)
        if missing:
            yield AddRules(bus, missing)
    if found == len(rules) == rules.total():
        return  # whatever is there is wanted, and there once
    wanted = {rule for ends in meshes.values() for rule in mesh(*ends)}
    bus_of: dict[int, str] = {}
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        # The rules of a pair that is about to be deleted go with it.
        retired = endpoint.host_end in declared.retired
        if link is not None and link.is_ours and not retired:
            bus_of[link.index] = declared.networks[endpoint.network].bus
    surplus: dict[str, list[Rule]] = {}
    for rule, extra in _unwanted(rules, wanted):
        owner = bus_of.get(rule.source) or bus_of.get(rule.target)
        if owner is not None:
            surplus.setdefault(owner, []).extend([rule] * extra)
    for bus, drop in surplus.items():
        yield DropRules(bus, tuple(drop))


def _unwanted(rules: Counter[Rule], wanted: Collection[Rule]) -> Iterator[tuple[Rule, int]]:
    """Yield the rules that are there and not wanted, or oftener than once, and how many to drop."""
    for rule in filterfalse(wanted.__contains__, rules):
        yield rule, rules[rule]
    if rules.total() > len(rules):
        for rule, count in rules.items():
            if count > 1 and rule in wanted:
                yield rule, count - 1


def _plan_removals(declared: Declared, observed: Observed) -> Iterator[Step]:
    """Plan to delete what evercan made (by its record and by the tag) and wants no more.

    A placeholder that is seen is left over: mending that ends takes its own away.
    """
    pairs = {each.host_end for each in declared.endpoints.values()} | declared.retired
    for name in sorted(declared.retired | set(map(placeholder_name, pairs))):
        link = observed.links.get(name)
        if link is not None and link.is_ours:
            yield DeleteLink(link.index, link.name)
