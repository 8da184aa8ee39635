"""What the log says of a turn, in the words that people already search for.

The recovery of a bus reads as one story: what is missing, that it is being made
again, that it is back. What is made for the first time is one line.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from evercan.log import about
from evercan.model import Declared, Phase
from evercan.steps import DeleteLink, MakeBus, MakePair, MendPair, Step
from evercan.troubles import Problem, Trouble

_log = logging.getLogger(__name__)


def announce(before: Declared, declared: Declared, step: Step) -> None:
    """Say what is about to be mended; what is made for the first time is said after."""
    match step:
        case MakeBus(name) if any(each.bus == name for each in before.networks.values()):
            _log.info(
                "Interface %s missing after reboot, recreating",
                name,
                extra=concerning(declared, name),
            )
        case MakePair(bus, endpoint, host_end, _) if _returns(before, declared, endpoint):
            _log.info(
                "Interface %s missing after reboot, recreating",
                host_end,
                extra=concerning(declared, bus, endpoint),
            )
        case MendPair(bus, endpoint, host_end, _, _):
            _log.info(
                "Interface %s missing from under a running container, recreating",
                host_end,
                extra=concerning(declared, bus, endpoint),
            )
        case _:
            _log.debug("About to %s", step, extra=_of_step(before, declared, step))


def report(before: Declared, declared: Declared, step: Step) -> None:
    """Say what was done."""
    match step:
        case MendPair(bus, endpoint, host_end, _, sandbox):
            fields = concerning(declared, bus, endpoint)
            _log.info(
                "Successfully recreated interface pair: %s <-> %s in its container",
                host_end,
                sandbox.name,
                extra=fields,
            )
        case MakePair(bus, endpoint, host_end, container_end):
            fields = concerning(declared, bus, endpoint)
            if _returns(before, declared, endpoint):
                _log.info(
                    "Successfully recreated interface pair: %s <-> %s",
                    host_end,
                    container_end,
                    extra=fields,
                )
                _log.info(
                    "Endpoint %s interfaces were recreated after reboot",
                    endpoint[:12],
                    extra=fields,
                )
            else:
                _log.info(
                    "Created interface pair: %s <-> %s", host_end, container_end, extra=fields
                )
        case _:
            _log.info("Done: %s", step, extra=_of_step(before, declared, step))


def overtaken(declared: Declared, step: MakeBus) -> None:
    """Say that somebody else made a bus interface in the same moment."""
    _log.info(
        "Interface %s was created concurrently, continuing",
        step.bus,
        extra=concerning(declared, step.bus),
    )


def tell(declared: Declared, problem: Problem) -> None:
    """Say what is wrong and what to do about it."""
    subject = concerning(declared, problem.bus, problem.endpoint, trouble=problem.kind)
    _log.error("Health check FAILED: %s", problem.text, extra=subject)
    if problem.kind is Trouble.PAIR_MISSING and problem.endpoint is not None:
        _log.warning(
            "Endpoint %s interface missing, skipping cross-rules for now",
            problem.endpoint[:12],
            extra=subject,
        )


def concerning(
    declared: Declared, bus: str, endpoint_id: str | None = None, **more: object
) -> dict[str, Mapping[str, object]]:
    """Say which networks, endpoint and interface a line is about.

    Without an endpoint the interface is that of the bus, whose networks are all meant.
    """
    endpoint = declared.endpoints.get(endpoint_id or "")
    fields: dict[str, object] = {}
    if endpoint is not None:
        fields |= {"network": endpoint.network, "endpoint": endpoint.id}
    else:
        networks = [each.id for each in declared.networks.values() if each.bus == bus]
        if networks:
            fields["network"] = networks[0] if len(networks) == 1 else ",".join(networks)
        if endpoint_id:
            fields["endpoint"] = endpoint_id
    interface = bus if endpoint is None else endpoint.host_end
    if interface:
        fields["interface"] = interface
    return about(**fields, **more)


def _of_step(before: Declared, declared: Declared, step: Step) -> dict[str, Mapping[str, object]]:
    """Say what a step is about; of an interface that goes, whose it was."""
    if not isinstance(step, DeleteLink):
        return concerning(declared, step.bus, step.endpoint)
    for known in (declared, before):
        for each in known.endpoints.values():
            if each.host_end == step.name:
                return concerning(known, known.networks[each.network].bus, each.id)
    return concerning(before, step.name)


def _returns(before: Declared, declared: Declared, endpoint_id: str) -> bool:
    """Whether an endpoint's pair is made again, not for the first time.

    The engine's own order is CreateEndpoint, which makes the pair, then Join. A
    pair that only Join makes, or that was there before, is a recovery.
    """
    return (
        endpoint_id in before.endpoints
        or declared.endpoints[endpoint_id].phase is not Phase.CREATED
    )
