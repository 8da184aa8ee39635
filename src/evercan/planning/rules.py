"""The can-gw rules of a bus: which it needs, which are missing, and which are surplus; pure.

For every two members a ≠ b (the bus interface and each joined endpoint) a bus has one
classic and one FD rule from a to b. can-gw forwards a frame only once (``max_hops``), so
a full mesh is needed. The flags:

- ``CGW_FLAGS_CAN_ECHO`` towards the bus interface only, so that programs on the host
  receive the frame there. Nobody receives it on a host end, and each echo would run all
  rules of that end again.
- ``CGW_FLAGS_CAN_IIF_TX_OK`` always: without it the kernel drops a frame whose sender's
  ifindex *in its container* equals the target's on the host.
- a hop limit of 1, which keeps the former safe at any ``max_hops``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse, repeat

from evercan.model.declared import Declared
from evercan.model.observed import Observed, Rule
from evercan.model.steps import AddRules, RemoveRules

ECHO, IIF_TX_OK, FD = 0x01, 0x04, 0x08
"""``CGW_FLAGS_CAN_*`` of ``linux/can/gw.h``."""

Ends = tuple[int | None, Sequence[int]]
"""The ifindexes of a bus: its bus interface, None without one, and its members' host ends."""


def mesh(bus_index: int | None, member_indexes: Iterable[int]) -> Iterator[Rule]:
    """Yield every rule that a bus needs, given the ifindexes of its members.

    Without a bus interface (None) the members still receive each other's frames. Rules
    that will have equal counters are neighbours, so that a dump of them is read fastest.
    """
    ends = [*([] if bus_index is None else [bus_index]), *member_indexes]
    for kind in (0, FD):
        flags = [IIF_TX_OK | kind | (ECHO if end == bus_index else 0) for end in ends]
        for n, source in enumerate(ends):
            targets, target_flags = ends[:n] + ends[n + 1 :], flags[:n] + flags[n + 1 :]
            yield from Rule.of(zip(repeat(source), targets, target_flags, repeat(1), repeat(b"")))


def _size(bus_index: int | None, member_indexes: Sequence[int]) -> int:
    """Return how many rules a mesh has."""
    ends = len(member_indexes) + (bus_index is not None)
    return 2 * ends * (ends - 1)


def plan_rules(
    declared: Declared, observed: Observed, buses: Mapping[str, Ends]
) -> Iterator[AddRules | RemoveRules]:
    """Plan the rules: what is missing first, then what is surplus and evercan's own.

    A rule is evercan's if one of its ends is (a plain rule has no owner in
    ``net/can/gw.c``). Adding first means that no frame is lost meanwhile.

    Args:
        declared: what is wanted.
        observed: what exists.
        buses: the ends of each bus, by bus interface.
    """
    rules = observed.rules
    found = 0
    for bus, ends in buses.items():
        missing = tuple(filterfalse(rules.__contains__, mesh(*ends)))
        found += _size(*ends) - len(missing)
        if missing:
            yield AddRules(bus, missing)
    if found == len(rules) == rules.total():
        return  # every rule that exists is wanted, and exists one time
    wanted = {rule for ends in buses.values() for rule in mesh(*ends)}
    bus_of: dict[int, str] = {}
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        # The rules of a pair that is about to be deleted are deleted with it.
        retired = endpoint.host_end in declared.retired
        if link is not None and link.is_ours and not retired:
            bus_of[link.index] = declared.networks[endpoint.network].bus
    surplus: dict[str, list[Rule]] = {}
    for rule, extra in _unwanted(rules, wanted):
        owner = bus_of.get(rule.source) or bus_of.get(rule.target)
        if owner is not None:
            surplus.setdefault(owner, []).extend([rule] * extra)
    for bus, unwanted in surplus.items():
        yield RemoveRules(bus, tuple(unwanted))


def _unwanted(rules: Counter[Rule], wanted: Collection[Rule]) -> Iterator[tuple[Rule, int]]:
    """Yield each rule that is not wanted, or exists more than once, and how many to remove."""
    for rule in filterfalse(wanted.__contains__, rules):
        yield rule, rules[rule]
    if rules.total() > len(rules):
        for rule, count in rules.items():
            if count > 1 and rule in wanted:
                yield rule, count - 1
