"""The can-gw rules of a bus: which it needs, which are missing, and which are surplus; pure.

For every two members a ≠ b (the bus interface, each bridged interface of the host and each
joined endpoint) a bus has one classic and one FD rule from a to b. can-gw forwards a frame
only once (``max_hops``), so a full mesh is needed. The flags:

- ``CGW_FLAGS_CAN_ECHO`` towards interfaces of the host only (the bus interface and the bridged
  ones), so that programs on the host receive the frame there. Nobody receives it on a host
  end, and each echo would run all rules of that end again.
- ``CGW_FLAGS_CAN_IIF_TX_OK`` always: without it the kernel drops a frame whose sender's
  ifindex *in its container* equals the target's on the host.
- a hop limit of 1, which keeps the former safe at any ``max_hops``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.rule import OWNER_MARK, Rule
from evercan.model.rule_list import RuleList
from evercan.model.rule_table import INDEXES, Group, RuleTable
from evercan.model.steps import AddRules, RemoveRules
from evercan.values import NamedTuple

ECHO, IIF_TX_OK, FD = 0x01, 0x04, 0x08
"""``CGW_FLAGS_CAN_*`` of ``linux/can/gw.h``."""


class Ends(NamedTuple):
    """The ifindexes of a bus's members.

    Attributes:
        host: the interfaces of the host, as far as they exist: the bus interface and the
            bridged ones.
        members: the host ends of its endpoints.
    """

    host: Sequence[int]
    members: Sequence[int]


def mesh(
    host_indexes: Sequence[int],
    member_indexes: Iterable[int],
    new: Sequence[int] | None = None,
) -> Iterator[Rule]:
    """Yield every rule that a bus needs, or only those that some new members need.

    Without a bus interface the members still receive each other's frames. Rules
    that will have equal counters are neighbours, so that a dump of them is read fastest.

    Args:
        host_indexes: as ``Ends.host``.
        member_indexes: as ``Ends.members``.
        new: those of the members whose rules are wanted; None for the rules of all.
    """
    ends = [*host_indexes, *member_indexes]
    for kind in (0, FD):
        flags = [IIF_TX_OK | kind | (ECHO if end in host_indexes else 0) for end in ends]
        for n, source in enumerate(ends):
            marks: list[bytes] = []
            if new is None or source in new:
                targets, target_flags = ends[:n] + ends[n + 1 :], flags[:n] + flags[n + 1 :]
                if n < len(host_indexes):  # the interfaces of the host come first
                    marks = [OWNER_MARK] * (len(host_indexes) - 1)
            else:
                targets, target_flags = [*new], [IIF_TX_OK | kind] * len(new)
            extras = chain(marks, repeat(b""))
            yield from Rule.of(zip(repeat(source), targets, target_flags, repeat(1), extras))


def is_host_rule(rule: Rule) -> bool:
    """Whether a rule between two interfaces of the host does what evercan's would do."""
    expected = (IIF_TX_OK | ECHO, IIF_TX_OK | ECHO | FD)
    return (
        rule.source != rule.target
        and rule.flags in expected
        and rule.hops == 1
        and (rule.is_marked or not rule.extras)
    )


def _needed(ends: Ends) -> Iterator[tuple[Group, array[int]]]:
    """Yield the rules of ``mesh`` as a table has them: by group, the sources in order."""
    hosts, members = (array(INDEXES, sorted(indexes)) for indexes in ends)
    everybody = array(INDEXES, sorted(hosts + members))
    for target in members:
        others = _without(everybody, target)
        for kind in (0, FD):
            yield (target, IIF_TX_OK | kind, 1, b""), others
    for target in hosts:
        others = _without(hosts, target)
        for kind in (0, FD):
            flags = IIF_TX_OK | ECHO | kind
            yield (target, flags, 1, b""), members
            yield (target, flags, 1, OWNER_MARK), others


def _without(indexes: array[int], index: int) -> array[int]:
    at = bisect_left(indexes, index)
    return indexes[:at] + indexes[at + 1 :]


def plan_rules(
    declared: Declared, observed: Observed, buses: Mapping[str, Ends]
) -> Iterator[AddRules | RemoveRules]:
    """Plan the rules: what is missing first, then what is surplus and evercan's own.

    A rule is evercan's if one of its ends is (a plain rule has no owner in
    ``net/can/gw.c``), or, between two interfaces of the host, if the state lists it. A rule
    of somebody else that does the same takes its place. Adding first means that no frame is
    lost meanwhile.

    A step without a bus removes what no bus needs any more. It is tried even if the rule
    does not seem to exist: a dump may lack a rule, and nothing else would remove it.

    Args:
        declared: what is wanted.
        observed: what exists.
        buses: the ends of each bus, by bus interface.
    """
    rules = observed.rules
    wanted = _Wanted()
    for bus, ends in buses.items():
        missing = wanted.compare(rules, ends)
        if missing:
            yield AddRules(bus, missing)
    bus_of = _pairs(declared, observed)
    leaving = _leaving(declared, observed)
    host_bus = {index: bus for bus, ends in buses.items() for index in ends.host}
    surplus: dict[str, list[Rule]] = {bus: [] for bus in buses}
    for rule, extra in wanted.surplus(rules):
        if rule.source in leaving or rule.target in leaving:
            continue
        owner = bus_of.get(rule.source) or bus_of.get(rule.target)
        if owner is None and rule in wanted:
            owner = host_bus[rule.source]
        if owner is not None:
            surplus[owner] += [rule] * extra
    for bus, unwanted in surplus.items():
        if unwanted:
            yield RemoveRules(bus, RuleList(unwanted))
    left_over = RuleList(
        rule
        for rule in sorted(declared.host_rules)
        if rule not in wanted
        for _ in range(max(rules[rule], 1))
    )
    if left_over:
        yield RemoveRules("", left_over)


class _Wanted:
    """The rules that all buses need, as far as they differ from those that exist."""

    def __init__(self) -> None:
        self._healthy: set[Group] = set()
        self._sources: dict[Group, set[int]] = {}

    def compare(self, rules: RuleTable, ends: Ends) -> RuleList:
        """Want what a bus needs; return what is missing of it, in the order of ``mesh``.

        The rules of a healthy bus are compared as arrays, and none of them becomes an object.
        """
        missing: list[tuple[Group, Collection[int]]] = []
        size = 0
        for group, sources in _needed(ends):
            size += len(sources)
            seen = rules.sources(group)
            if seen == sources:
                self._healthy.add(group)
            elif seen:
                missing.append((group, {*sources}.difference(seen)))
            else:
                missing.append((group, sources))
            if (seen and seen != sources) or group[3]:
                self._sources.setdefault(group, set()).update(sources)
        if sum(len(sources) for _, sources in missing) == size:
            found: Iterable[Rule] = mesh(*ends)
        else:
            order = {index: n for n, index in enumerate((*ends.host, *ends.members))}
            found = sorted(
                (Rule(source, *group) for group, sources in missing for source in sources),
                key=lambda rule: (rule.flags & FD, order[rule.source], order[rule.target]),
            )
        return RuleList(
            rule for rule in found if not (rule.is_marked and rule.without_mark() in rules)
        )

    def __contains__(self, rule: Rule) -> bool:
        """Whether a rule is wanted that has evercan's mark, or whose group differs from a bus's."""
        group: Group = rule[1:]
        return rule.source in self._sources.get(group, ())

    def surplus(self, rules: RuleTable) -> Iterator[tuple[Rule, int]]:
        """Yield each rule that is not wanted or exists too often, and how many to remove."""
        for group in rules.groups():
            if group in self._healthy:
                continue
            wanted = self._sources.get(group, ())
            for rule, count in rules.of_group(group):
                if rule.source in wanted:
                    if count > 1:
                        yield rule, count - 1
                    continue
                yield rule, count
                mine = rule._replace(extras=OWNER_MARK)
                if not rule.extras and mine in self and mine in rules:
                    yield mine, 1


def _pairs(declared: Declared, observed: Observed) -> dict[int, str]:
    """Return the bus of each host end and filter interface, by ifindex."""
    return {
        link.index: declared.networks[endpoint.network].bus
        for endpoint in declared.endpoints.values()
        for name in endpoint.host_interfaces
        if (link := observed.links.get(name)) is not None and link.is_ours
    }


def _leaving(declared: Declared, observed: Observed) -> set[int]:
    """Return the ifindexes of host ends and filter interfaces whose rules go with them.

    That of an endpoint that left is down, so that its rules forward nothing
    (``can_can_gw_rcv``), until its pair is deleted. To remove them one by one takes the
    kernel a walk through its whole table for each.
    """
    left = (
        name
        for endpoint in declared.endpoints.values()
        if endpoint.has_left
        for name in endpoint.host_interfaces
    )
    found = (observed.links.get(name) for name in (*left, *declared.retired))
    return {link.index for link in found if link is not None and link.is_of_endpoint}
