"""How the declared state follows what happens outside of calls: a start, an observation; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from evercan.intent.changes import with_phase
from evercan.model.controller_match import may_be_granted
from evercan.model.declared import BusKind, Declared, Network, Phase
from evercan.model.observed import Observed, placeholder_name
from evercan.model.steps import ConfigureBus, Step


def after_start(declared: Declared, boot: str) -> Declared:
    """Return the declared state for a new process.

    Another boot id means that no namespace of the old boot exists: its endpoints become
    dormant, and no controller is configured. Endpoints that were dormant already are
    removed: the engine had the whole life of a process to use them, and it never does if
    their container ended while the plugin was not running. In the same boot an endpoint
    that was created and never joined becomes dormant too; its options are kept, and Join
    creates its pair again. One that was offered stays offered: the engine may have the
    answer and be about to move the end; if it has not, it deletes the endpoint.

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
    if not same_boot:
        for network in declared.networks.values():
            result = _with_configured(result, network, None)
    return result


def after_observation(declared: Declared, observed: Observed) -> Declared:
    """Return the declared state with what the kernel shows to have happened.

    - An offered pair whose other end is in a namespace was moved by the engine: joined.
    - A joined pair whose other end is back on the host was moved back, and the call for
      it was lost: dormant, as is one that ended with its namespace. A pair that is being
      repaired was not moved back.
    - A pair that left and whose end is back on the host is no longer needed: dormant. The
      call that deletes it may have been lost.
    - A virtual bus that is missing will be created by evercan, whoever created it before.
    - A retired name that no longer exists is forgotten.
    - What the kernel made of a controller's settings is remembered as long as it is up.
    """
    result = declared
    for network in declared.networks.values():
        virtual = network.kind is BusKind.VIRTUAL
        if virtual and not network.owns_bus and observed.find(network.bus) is None:
            result = result.with_network(replace(network, owns_bus=True))
        result = _observe_controller(result, result.networks[network.id], observed)
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


def before_steps(declared: Declared, steps: Iterable[Step]) -> Declared:
    """Record which controllers are about to be configured, so that this is known after a crash."""
    for step in steps:
        if isinstance(step, ConfigureBus):
            setter = declared.network_that_sets(step.bus)
            if setter is not None:
                declared = _with_configured(declared, setter, step.index)
    return declared


def after_failures(declared: Declared, former: Declared, failed: Iterable[Step]) -> Declared:
    """Take back what ``before_steps`` recorded for steps that the kernel did not take.

    Args:
        declared: the declared state with what was recorded.
        former: the declared state without it.
        failed: the steps.
    """
    for step in failed:
        if isinstance(step, ConfigureBus):
            setter = declared.network_that_sets(step.bus)
            known = None if setter is None else former.networks.get(setter.id)
            if setter is not None and known is not None:
                declared = _with_configured(declared, setter, known.configured)
    return declared


def _observe_controller(declared: Declared, network: Network, observed: Observed) -> Declared:
    """Remember whether a controller still is the one that evercan configured, and its bitrates.

    Without the granted bitrates, a bitrate into which a clock cannot be divided exactly
    would always look wrong, and one that somebody changed a little would look right.
    """
    if not network.settings:
        return declared
    link = observed.find(network.bus)
    configured, granted = network.configured, network.granted
    if link is None or link.controller is None:
        configured = granted = None
    else:
        if link.is_tagged_controller:
            configured = link.index  # by a release that recorded it in the kernel
        if configured != link.index:
            configured = granted = None
        elif not link.up:
            granted = None
        elif granted is None and may_be_granted(network.settings, link.controller.timing):
            granted = link.controller.timing
    if (configured, granted) == (network.configured, network.granted):
        return declared
    return declared.with_network(replace(network, configured=configured, granted=granted))


def _with_configured(declared: Declared, network: Network, index: int | None) -> Declared:
    if network.configured == index:
        return declared
    return declared.with_network(replace(network, configured=index, granted=None))
