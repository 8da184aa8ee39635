"""The log lines of a reconcile pass, with the phrases that people search for.

A recovery reads as one story: what is missing, that it is created again, that it is
restored. What is created for the first time is one line. ``cause`` says why something
was missing: only a line with ``cause=reboot`` speaks of a reboot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from enum import StrEnum

from evercan.log.writer import about
from evercan.model.declared import Declared, Phase
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import ConfigureBus, DeleteLink, MakeBus, MakePair, RepairPair, Step

_log = logging.getLogger(__name__)


class Cause(StrEnum):
    """Why an interface has to be created again; the field ``cause`` of a line."""

    REBOOT = "reboot"
    """The host was rebooted, and interfaces do not outlive that."""
    DELETED = "deleted"
    """Somebody deleted it."""
    UNKNOWN_ENDPOINT = "unknown-endpoint"
    """The engine joins an endpoint that this plugin process did not create."""


def before_step(before: Declared, declared: Declared, step: Step, *, rebooted: bool) -> None:
    """Log what is about to be created again; what is created for the first time is logged after.

    Args:
        before: what was wanted when the pass began.
        declared: what is wanted now.
        step: the step that is about to be taken.
        rebooted: the host was rebooted since the last process of the plugin.
    """
    match step:
        case MakeBus(name) if any(network.bus == name for network in before.networks.values()):
            cause = Cause.REBOOT if rebooted else Cause.DELETED
            _recreating(name, cause, subject(declared, name, cause=cause))
        case MakePair(bus, endpoint, host_end, _) if _exists_again(before, declared, endpoint):
            cause = _cause(before, endpoint, rebooted=rebooted)
            _recreating(host_end, cause, subject(declared, bus, endpoint, cause=cause))
        case RepairPair(bus, endpoint, host_end, _, _):
            _log.info(
                "Interface %s missing from a running container, recreating",
                host_end,
                extra=subject(declared, bus, endpoint, cause=Cause.DELETED),
            )
        case _:
            _log.debug("About to %s", step, extra=_of_step(before, declared, step))


def after_step(before: Declared, declared: Declared, step: Step, *, rebooted: bool) -> None:
    """Log what was done; arguments as of ``before_step``."""
    match step:
        case RepairPair(bus, endpoint, host_end, _, location):
            _log.info(
                "Successfully recreated interface pair: %s <-> %s in its container",
                host_end,
                location.name,
                extra=subject(declared, bus, endpoint, cause=Cause.DELETED),
            )
        case MakePair(bus, endpoint, host_end, container_end):
            if not _exists_again(before, declared, endpoint):
                _log.info(
                    "Created interface pair: %s <-> %s",
                    host_end,
                    container_end,
                    extra=subject(declared, bus, endpoint),
                )
                return
            cause = _cause(before, endpoint, rebooted=rebooted)
            fields = subject(declared, bus, endpoint, cause=cause)
            _log.info(
                "Successfully recreated interface pair: %s <-> %s",
                host_end,
                container_end,
                extra=fields,
            )
            _recreated(endpoint, cause, fields)
        case _:
            _log.info("Done: %s", step, extra=_of_step(before, declared, step))


def restart_delays(declared: Declared, observed: Observed, taken: Iterable[Step]) -> None:
    """Log which drivers did not take the restart delay that a network asks for.

    Args:
        declared: what is wanted.
        observed: what exists after the steps.
        taken: the steps that the kernel took.
    """
    for step in taken:
        if not isinstance(step, ConfigureBus) or not step.settings.restart_ms:
            continue
        link = observed.links.get(step.name)
        if link is None or link.controller is None or link.controller.restart_ms:
            continue
        _log.info(
            "The driver of %s does not support a restart from bus-off: evercan restarts it "
            "after %d ms, by setting it down and up",
            step.name,
            step.settings.restart_ms,
            extra=subject(declared, step.bus),
        )


def created_concurrently(declared: Declared, step: MakeBus) -> None:
    """Log that somebody else created a bus interface at the same moment."""
    _log.info(
        "Interface %s was created concurrently, continuing",
        step.bus,
        extra=subject(declared, step.bus),
    )


def problem(declared: Declared, found: Problem) -> None:
    """Log a problem and its remedy."""
    fields = subject(declared, found.bus, found.endpoint, trouble=found.kind)
    _log.error("Health check FAILED: %s", found, extra=fields)
    if found.kind is ProblemKind.PAIR_MISSING and found.endpoint is not None:
        _log.warning(
            "Endpoint %s interface missing, skipping cross-rules for now",
            found.endpoint[:12],
            extra=fields,
        )


def warning(declared: Declared, found: Problem) -> None:
    """Log a warning and its remedy."""
    fields = subject(declared, found.bus, found.endpoint, warning=found.kind)
    _log.warning("%s", found, extra=fields)


def warning_ended(declared: Declared, found: Problem) -> None:
    """Log that a warning is about nothing any more."""
    fields = subject(declared, found.bus, found.endpoint, warning=found.kind)
    _log.info("Warning ended: %s", found.text, extra=fields)


def subject(
    declared: Declared, bus: str, endpoint_id: str | None = None, **more: object
) -> dict[str, Mapping[str, object]]:
    """Return the fields that say which networks, endpoint and interface a line is about.

    Without an endpoint the interface is that of the bus, and all of its networks are named.
    """
    endpoint = declared.endpoints.get(endpoint_id or "")
    fields: dict[str, object] = {}
    if endpoint is not None:
        fields |= {"network": endpoint.network, "endpoint": endpoint.id}
    else:
        networks = [network.id for network in declared.networks.values() if network.bus == bus]
        if networks:
            fields["network"] = networks[0] if len(networks) == 1 else ",".join(networks)
        if endpoint_id:
            fields["endpoint"] = endpoint_id
    interface = bus if endpoint is None else endpoint.host_end
    if interface:
        fields["interface"] = interface
    return about(**fields, **more)


def _recreating(name: str, cause: Cause, fields: dict[str, Mapping[str, object]]) -> None:
    if cause is Cause.REBOOT:
        _log.info("Interface %s missing after reboot, recreating", name, extra=fields)
    else:
        _log.info("Interface %s missing, recreating", name, extra=fields)


def _recreated(endpoint_id: str, cause: Cause, fields: dict[str, Mapping[str, object]]) -> None:
    if cause is Cause.REBOOT:
        line = "Endpoint %s interfaces were recreated after reboot"
    else:
        line = "Endpoint %s interfaces were recreated"
    _log.info(line, endpoint_id[:12], extra=fields)


def _cause(before: Declared, endpoint_id: str, *, rebooted: bool) -> Cause:
    """Return why a known or joining endpoint has no pair."""
    known = before.endpoints.get(endpoint_id)
    if known is not None and known.wants_pair:
        return Cause.DELETED
    return Cause.REBOOT if rebooted else Cause.UNKNOWN_ENDPOINT


def _of_step(before: Declared, declared: Declared, step: Step) -> dict[str, Mapping[str, object]]:
    """Return what a step is about; for an interface that is deleted, whose it was."""
    if not isinstance(step, DeleteLink):
        return subject(declared, step.bus, step.endpoint)
    for known in (declared, before):
        for endpoint in known.endpoints.values():
            if step.name in endpoint.host_interfaces:
                return subject(known, known.networks[endpoint.network].bus, endpoint.id)
    return subject(before, step.name)


def _exists_again(before: Declared, declared: Declared, endpoint_id: str) -> bool:
    """Whether an endpoint's pair is created again, not for the first time.

    The engine's own order is CreateEndpoint, which creates the pair, then Join. A pair
    that only Join creates, or that existed before, is a recovery.
    """
    return (
        endpoint_id in before.endpoints
        or declared.endpoints[endpoint_id].phase is not Phase.CREATED
    )
