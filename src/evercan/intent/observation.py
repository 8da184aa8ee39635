"""How the declared state follows what happens outside of calls: a start, an observation; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from evercan.intent.endpoint_changes import with_phase
from evercan.intent.host_rules import marked_rules
from evercan.model.controller_match import differences, may_be_granted
from evercan.model.declared import BusKind, Configured, Declared, Network, Phase
from evercan.model.observed import Observed, placeholder_name
from evercan.model.rule import Rule
from evercan.model.steps import AddRules, ConfigureBus, RemoveRules, SetFaults, Step
from evercan.values import replace


def after_start(declared: Declared, boot: str) -> Declared:
    """Return the declared state for a new process.

    Another boot id means that no namespace of the old boot exists: its endpoints become
    dormant, no controller is configured, and there are no rules and no faults. Endpoints that were
    dormant already are removed: the engine had the whole life of a process to use them, and
    it never does if their container ended while the plugin was not running. In the same
    boot an endpoint that was created and never joined becomes dormant too; its options are
    kept, and Join creates its pair again. One that was offered stays offered: the engine
    may have the answer and be about to move the end; if it has not, it deletes the endpoint.

    Args:
        declared: the declared state as the last process left it.
        boot: the kernel's boot id.
    """
    same_boot = declared.boot == boot
    result = replace(declared, boot=boot)
    for endpoint in declared.endpoints.values():
        if endpoint.phase is Phase.DORMANT:
            result = result.without_endpoint(endpoint.id)
        elif not same_boot or endpoint.phase is Phase.CREATED:
            result = with_phase(result, endpoint.id, Phase.DORMANT)
    if same_boot:
        return result
    return replace(
        result, configured={}, host_rules=frozenset(), faults=(), fault_queues=frozenset()
    )


def after_observation(declared: Declared, observed: Observed) -> Declared:
    """Return the declared state with what the kernel shows to have happened.

    - An offered pair whose other end is in a namespace was moved by the engine: joined.
    - A joined pair whose other end is back on the host was moved back, and the call for
      it was lost: dormant, as is one that ended with its namespace. A pair that is being
      repaired was not moved back.
    - A pair that left and whose end is back on the host is no longer needed: dormant. The
      call that deletes it may have been lost.
    - An interface that was asked for by an altname may have another name after a re-plug.
    - A retired name that no longer exists is forgotten.
    - A controller that was unplugged, or that somebody changed while no network asks for
      settings, is no longer configured by evercan.
    - A rule between interfaces of the host goes with either of them.
    - A fault whose time is over has ended. The queue of an interface is forgotten once it is
      gone.
    """
    result = _observe_faults(declared, observed)
    for network in declared.networks.values():
        result = _follow_altname(result, network, observed)
    result = _observe_controllers(result, observed)
    result = _observe_host_rules(result, observed)
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        if link is None and endpoint.id in observed.ended and endpoint.phase is Phase.JOINED:
            result = with_phase(result, endpoint.id, Phase.DORMANT)
        if link is None or not link.is_ours:
            continue
        if endpoint.phase is Phase.OFFERED and link.peer_nsid is not None:
            result = with_phase(result, endpoint.id, Phase.JOINED)
        elif link.peer_nsid is None and (
            endpoint.phase is Phase.LEFT
            or (endpoint.phase is Phase.JOINED and not observed.is_repair_unfinished(link))
        ):
            result = with_phase(result, endpoint.id, Phase.DORMANT)
    gone = frozenset(
        name
        for name in result.retired
        if name not in observed.links and placeholder_name(name) not in observed.links
    )
    return replace(result, retired=result.retired - gone) if gone else result


def _observe_faults(declared: Declared, observed: Observed) -> Declared:
    faults = tuple(
        fault for fault in declared.faults if fault.until is None or fault.until > observed.at
    )
    queues = declared.fault_queues & observed.fault_queues.keys()
    if len(faults) == len(declared.faults) and queues == declared.fault_queues:
        return declared
    return replace(declared, faults=faults, fault_queues=queues)


def _follow_altname(declared: Declared, network: Network, observed: Observed) -> Declared:
    """Let networks that name one interface differently be one bus, as long as it exists.

    While no interface has the altname, the bus has that name itself: the interface that
    had it may be gone, and another one may have got its name.
    """
    asked = network.asked_bus
    link = observed.find(asked)
    bus = asked if link is None else link.name
    alias = asked if bus != asked else None
    if network.kind is BusKind.VIRTUAL and link is None:
        return declared  # created again under the name that it had
    if not bus.isprintable():
        bus, alias = asked, None  # a name that neither a file nor a report can have
    if (bus, alias) == (network.bus, network.alias):
        return declared
    return declared.with_network(replace(network, bus=bus, alias=alias))


def before_steps(declared: Declared, steps: Iterable[Step]) -> Declared:
    """Record what evercan is about to do and nothing in the kernel shows, for after a crash.

    That is which controllers it configures, which rules between interfaces of the host it
    adds, and which interfaces it gives a queue for faults.
    """
    configured = dict(declared.configured)
    host_rules = declared.host_rules
    queues = declared.fault_queues
    for step in steps:
        if isinstance(step, AddRules):
            host_rules |= {rule for rule in step.rules if rule.is_marked}
        if isinstance(step, SetFaults) and step.queue is not None:
            queues |= {step.index}
        setter = declared.network_that_sets(step.bus) if isinstance(step, ConfigureBus) else None
        if isinstance(step, ConfigureBus) and setter is not None:
            configured[step.index] = Configured(setter.settings)
    noted = _with_host_rules(_with_configured(declared, configured), host_rules)
    return noted if queues == declared.fault_queues else replace(noted, fault_queues=queues)


def after_steps(
    declared: Declared, former: Declared, steps: Iterable[Step], failed: Collection[Step]
) -> Declared:
    """Correct what ``before_steps`` recorded by what became of the steps.

    Of rules that could not be added or removed, some of the batch may have been: what was
    recorded of them stays.

    Args:
        declared: the declared state with what was recorded.
        former: the declared state without it.
        steps: the steps that were taken.
        failed: those of them that the kernel did not take.
    """
    configured = dict(declared.configured)
    host_rules = declared.host_rules
    for step in steps:
        if isinstance(step, RemoveRules) and step not in failed:
            host_rules -= {*step.rules}
    for step in failed:
        if isinstance(step, ConfigureBus):
            configured.pop(step.index, None)
            if step.index in former.configured:
                configured[step.index] = former.configured[step.index]
    return _with_host_rules(_with_configured(declared, configured), host_rules)


def _observe_controllers(declared: Declared, observed: Observed) -> Declared:
    """Follow the controllers that evercan has configured.

    The settings are remembered as the kernel made them. Without that, a bitrate into which
    a clock cannot be divided exactly would always look wrong, and one that somebody
    changed a little would look right.
    """
    configured: dict[int, Configured] = {}
    setters = {network.bus: network for network in declared.networks.values() if network.settings}
    wanted = {
        link.index: setters[bus].settings
        for bus in setters
        if (link := observed.find(bus)) is not None
    }
    for link in observed.links.values():
        if link.controller is None:
            continue
        known, asked = declared.configured.get(link.index), wanted.get(link.index)
        if known is None and asked is not None and link.is_tagged_controller:
            known = Configured(asked)  # a release before 0.2 recorded this in the kernel
        if known is None:
            continue
        seen = link.controller.settings()
        if asked is None:
            if known.made != seen:
                continue  # somebody has changed it since
        else:
            if known.asked != asked and not differences(asked, link.controller, None):
                known = Configured(asked)  # another network asks for what it has
            if known == Configured(asked) and link.up and may_be_granted(asked, seen):
                known = Configured(asked, made=seen)
        configured[link.index] = known
    return _with_configured(declared, configured)


def _observe_host_rules(declared: Declared, observed: Observed) -> Declared:
    """Forget rules whose interfaces are gone, and take marked ones on a bus for evercan's.

    A rule that only seems to be missing stays recorded: a dump may lack it. A marked one that
    is not recorded is of before the state file was lost.
    """
    indexes = {link.index for link in observed.links.values()}
    known = {rule for rule in declared.host_rules if {rule.source, rule.target} <= indexes}
    if any(network.bridge for network in declared.networks.values()):
        known |= marked_rules(declared, observed)[0]
    return _with_host_rules(declared, frozenset(known))


def _with_host_rules(declared: Declared, host_rules: frozenset[Rule]) -> Declared:
    if host_rules == declared.host_rules:
        return declared
    return replace(declared, host_rules=host_rules)


def _with_configured(declared: Declared, configured: Mapping[int, Configured]) -> Declared:
    if configured == declared.configured:
        return declared
    return replace(declared, configured=configured)
