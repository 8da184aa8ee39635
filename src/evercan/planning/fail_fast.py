"""What ``EVERCAN_RECOVERY=fail-fast`` lets a turn do; pure.

Whatever was wanted before the turn and is not there is *drift*: it stays as it
is, and is told with what would mend it. Whatever the turn's own calls newly
want is done: a new network's bus, a new endpoint's pair, the rules between it
and the members. What nobody wants any more always goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from evercan.errors import number_of
from evercan.model import Declared, Observed, Phase, Rule
from evercan.plan import Plan, Problem, Trouble, make_plan
from evercan.steps import (
    AddRules,
    ConfigureBus,
    DeleteLink,
    DropRules,
    MakeBus,
    MakePair,
    MendPair,
    NameEnd,
    SetUp,
    Step,
)

_KEPT = "and EVERCAN_RECOVERY=fail-fast leaves it so"
_AUTO = "or set EVERCAN_RECOVERY=auto"


def restrained_plan(before: Declared, declared: Declared, observed: Observed) -> Plan:
    """Plan what the calls of one turn ask for; name the rest as problems.

    Args:
        before: what was wanted when the turn began.
        declared: what is wanted now.
        observed: the kernel at this moment.
    """
    plan = make_plan(declared, observed)
    standing = make_plan(_surviving(before, declared), observed).steps
    left = {
        observed.links[each.host_end].index
        for each in declared.endpoints.values()
        if each.phase is Phase.LEFT and each.host_end in observed.links
    }
    steps: list[Step] = []
    problems: list[Problem] = []
    withheld: dict[type[Step], Counter[Rule]] = {AddRules: Counter(), DropRules: Counter()}
    for step in plan.steps:
        match step:
            case AddRules(bus, rules) | DropRules(bus, rules):
                asked = _asked(step, standing, left)
                withheld[type(step)] += Counter(rules) - asked
                if asked:
                    steps.append(type(step)(bus, tuple(asked.elements())))
            case DeleteLink() | NameEnd():
                # A Join that waits for its name still asks for it in a later turn.
                steps.append(step)
            case _ if step not in standing:
                steps.append(step)
            case MakeBus() | MakePair() | MendPair() | SetUp() | ConfigureBus():
                problems.append(_drift(step))
    problems += _drifted_rules(declared, observed, withheld[AddRules], withheld[DropRules])
    return Plan(steps=tuple(steps), problems=plan.problems + tuple(problems))


def _asked(
    step: AddRules | DropRules, standing: Iterable[Step], left: Collection[int]
) -> Counter[Rule]:
    """Pick the rules that the turn's calls ask for, or that end a membership which was left."""
    already = Counter(
        rule
        for each in standing
        if isinstance(each, AddRules | DropRules) and type(each) is type(step)
        for rule in each.rules
    )
    wanted = Counter(step.rules)
    asked = wanted - already
    if isinstance(step, DropRules):
        for rule, count in (wanted - asked).items():
            if rule.source in left or rule.target in left:
                asked[rule] += count
    return asked


def _surviving(before: Declared, declared: Declared) -> Declared:
    """Leave out of the former intent what the turn's calls have ended."""
    result = before
    for network in before.networks.keys() - declared.networks.keys():
        result = result.without_network(network)
    for endpoint in before.endpoints.keys() - declared.endpoints.keys():
        result = result.without_endpoint(endpoint)
    return result


def _drift(step: MakeBus | MakePair | MendPair | SetUp | ConfigureBus) -> Problem:
    """Say of a link that is not as it was wanted what is wrong, and what would mend it."""
    match step:
        case MakeBus(bus):
            text = (
                f"the bus interface {bus} is gone {_KEPT}; remove the networks on it and create "
                f"them again (docker compose down && docker compose up), {_AUTO}"
            )
        case SetUp(_, endpoint, name):
            whose = f"host end {name}" if endpoint else f"bus interface {name}"
            text = f"the {whose} is down {_KEPT}; on the host run 'ip link set {name} up', {_AUTO}"
        case ConfigureBus(bus, _, name, settings):
            text = (
                f"the controller {bus} is not up as its network asks {_KEPT}; on the host run "
                f"'{settings.command(name)}', {_AUTO}"
            )
        case MakePair(_, endpoint, host_end, _) | MendPair(_, endpoint, host_end, _, _):
            text = (
                f"the interface pair {host_end} of endpoint {endpoint[:12]} is gone {_KEPT}; "
                f"restart its container, {_AUTO}"
            )
    return Problem(kind=Trouble.DRIFT, bus=step.bus, endpoint=step.endpoint, text=text)


def _drifted_rules(
    declared: Declared, observed: Observed, missing: Counter[Rule], surplus: Counter[Rule]
) -> Iterable[Problem]:
    """Say for each endpoint what is wrong with its rules.

    A rule between two containers counts for both: the restart of either mends it.
    So nobody is kept from joining, and restarting one after another mends a bus.
    """
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        if link is None:
            continue
        lacks, extra = (
            sum(count for rule, count in rules.items() if link.index in (rule.source, rule.target))
            for rules in (missing, surplus)
        )
        faults = []
        if lacks:
            faults.append(f"lacks {number_of(lacks, 'rule')}")
        if extra:
            faults.append(f"has {number_of(extra, 'rule')} too many")
        if faults:
            yield Problem(
                kind=Trouble.DRIFT,
                bus=declared.networks[endpoint.network].bus,
                endpoint=endpoint.id,
                text=f"endpoint {endpoint.id[:12]} ({endpoint.host_end}) {' and '.join(faults)} "
                f"{_KEPT}; restart its container, {_AUTO}",
            )
