"""What the log says of a turn, in the words that people already search for.

The recovery of a bus reads as one story: what is missing, that it is being made
again, that it is back. What is made for the first time is one line.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evercan.log import about
from evercan.model import Declared, Phase
from evercan.plan import Problem, Trouble
from evercan.steps import MakeBus, MakePair, MendPair, Step

_log = logging.getLogger(__name__)


def announce(before: Declared, declared: Declared, step: Step) -> None:
    """Say what is about to be mended; what is made for the first time is said after."""
    match step:
        case MakeBus(name) if any(each.bus == name for each in before.networks.values()):
            _log.info(
                "Interface %s missing after reboot, recreating",
                name,
                extra=about(interface=name),
            )
        case MakePair(_, endpoint, host_end, _) if _returns(before, declared, endpoint):
            _log.info(
                "Interface %s missing after reboot, recreating",
                host_end,
                extra=about(endpoint=endpoint, interface=host_end),
            )
        case MendPair(_, endpoint, host_end, _, _):
            _log.info(
                "Interface %s missing from under a running container, recreating",
                host_end,
                extra=about(endpoint=endpoint, interface=host_end),
            )
        case _:
            _log.debug("About to %s", step)


def report(before: Declared, declared: Declared, step: Step) -> None:
    """Say what was done."""
    match step:
        case MendPair(_, endpoint, host_end, _, sandbox):
            fields = about(endpoint=endpoint, interface=host_end)
            _log.info(
                "Successfully recreated interface pair: %s <-> %s in its container",
                host_end,
                sandbox.name,
                extra=fields,
            )
        case MakePair(_, endpoint, host_end, container_end):
            fields = about(endpoint=endpoint, interface=host_end)
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
            _log.info("Done: %s", step)


def overtaken(step: MakeBus) -> None:
    """Say that somebody else made a bus interface in the same moment."""
    _log.info(
        "Interface %s was created concurrently, continuing",
        step.bus,
        extra=about(interface=step.bus),
    )


def tell(problems: Sequence[Problem], known: Sequence[Problem]) -> None:
    """Say what is wrong, once."""
    for problem in problems:
        if problem in known:
            continue
        _log.error("%s", problem.text, extra=about(bus=problem.bus, trouble=problem.kind))
        if problem.kind is Trouble.PAIR_MISSING and problem.endpoint is not None:
            _log.warning(
                "Endpoint %s interface missing, skipping cross-rules for now",
                problem.endpoint[:12],
                extra=about(bus=problem.bus, endpoint=problem.endpoint),
            )


def _returns(before: Declared, declared: Declared, endpoint_id: str) -> bool:
    """Whether an endpoint's pair is made again, not for the first time.

    The engine's own order is CreateEndpoint, which makes the pair, then Join. A
    pair that only Join makes, or that was there before, is a recovery.
    """
    return (
        endpoint_id in before.endpoints
        or declared.endpoints[endpoint_id].phase is not Phase.CREATED
    )
