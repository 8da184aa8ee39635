"""What has to happen when a controller is bus-off; pure.

A controller leaves its bus after too many errors. The kernel restarts it after
``restart-ms`` if its driver can do that. Some drivers cannot: gs_usb of kernel 6.12 refuses
the setting, mcba_usb takes it and never restarts. Where a network asks for
``vxcan.restart-ms``, evercan restarts such a controller itself, by setting it down and up.
"""

from __future__ import annotations

from evercan.model.controller import Controller, ControllerState
from evercan.model.declared import BusKind, Declared
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import RestartBus, Step

GRACE = 1.0
"""Seconds that the kernel has beyond ``restart-ms`` if it took the setting."""


def plan_bus_off(
    bus: str,
    link: Link,
    asked: int | None,
    observed: Observed,
    steps: list[Step],
    problems: list[Problem],
) -> None:
    """Plan the restart of a controller that is bus-off, or report it if nobody restarts it.

    Args:
        bus: the bus interface, by the name in the intent.
        link: the controller, which is up; another interface is left alone.
        asked: the network's ``vxcan.restart-ms``.
        observed: says for how long it has been bus-off.
        steps: gets the restart, once it is due.
        problems: gets what is wrong.
    """
    controller = link.controller
    if controller is None or controller.state is not ControllerState.BUS_OFF:
        return
    is_due = observed.at >= _due(controller, asked, link, observed)
    if is_due and asked:
        steps.append(RestartBus(bus, link.index, link.name))
    elif is_due:
        problems.append(_problem(bus, link, controller))


def next_restart(declared: Declared, observed: Observed) -> float | None:
    """Return when the next restart that evercan makes is due, by the monotonic clock."""
    due = []
    for bus, networks in declared.networks_by_bus().items():
        link, setter = observed.find(bus), declared.network_that_sets(bus)
        asked = None if setter is None else setter.settings.restart_ms
        if link is None or link.controller is None or networks[0].kind is not BusKind.PHYSICAL:
            continue
        if asked and link.controller.state is ControllerState.BUS_OFF:
            due.append(_due(link.controller, asked, link, observed))
    return min(due, default=None)


def _due(controller: Controller, asked: int | None, link: Link, observed: Observed) -> float:
    """Return when somebody else than the kernel has to act.

    While the kernel has a delay, it is given that and some time more.
    """
    since = observed.bus_off_since.get(link.index, observed.at)
    delay = (asked or controller.restart_ms) / 1000
    return since + delay + (GRACE if controller.restart_ms else 0.0)


def _problem(bus: str, link: Link, controller: Controller) -> Problem:
    in_spite = ""
    if controller.restart_ms:
        in_spite = (
            f"; its driver does not restart it, in spite of restart-ms {controller.restart_ms}"
        )
    return Problem(
        kind=ProblemKind.BUS_OFF,
        bus=bus,
        text=f"the controller {link.name} is bus-off after too many errors and sends nothing"
        f"{in_spite}",
        remedy="check its wires, its termination and the bitrate of the other nodes, then run "
        f"'ip link set {link.name} down; ip link set {link.name} up' on the host; "
        "vxcan.restart-ms=100 restarts it automatically",
    )
