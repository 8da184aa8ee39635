"""What has to happen for a bus interface to be as declared; pure.

A virtual one is made. A controller is waited for, set as its network asks, and
set up; one that somebody else has set up otherwise is left alone and reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evercan.controller import ControllerSettings, ControllerState
from evercan.controller_match import differences
from evercan.model import BusKind, Declared, Link, Network, Observed
from evercan.steps import ConfigureBus, MakeBus, SetUp, Step
from evercan.troubles import Problem, Trouble


def plan_bus(
    declared: Declared,
    networks: Sequence[Network],
    observed: Observed,
    steps: list[Step],
    problems: list[Problem],
) -> Link | None:
    """Plan for the bus interface of some networks; return it when rules can be laid to it."""
    bus, kind = networks[0].bus, networks[0].kind
    link = observed.find(bus)
    if link is None and kind is BusKind.VIRTUAL:
        steps.append(MakeBus(bus))
        return None
    unfit = _unfit(bus, kind, link)
    if unfit is not None:
        problems.append(unfit)
    if unfit is not None or link is None:
        return None
    setter = declared.network_that_sets(bus)
    if setter is not None and kind is BusKind.PHYSICAL:
        return _plan_controller(setter, link, steps, problems)
    if link.up:
        problems.extend(_bus_off(bus, link))
    elif link.is_ours and any(each.owns_bus for each in networks):
        steps.append(SetUp(bus, None, link.name))
    else:
        remedy = f"on the host run 'ip link set {bus} up'"
        if link.controller is not None:
            remedy += " ('… type can bitrate N'), or give its network vxcan.bitrate"
        text = f"the bus interface {bus} is down and not evercan's to set up; {remedy}"
        problems.append(Problem(kind=Trouble.BUS_DOWN, bus=bus, text=text))
    return link


def _unfit(bus: str, kind: BusKind, link: Link | None) -> Problem | None:
    """Say why there is no interface that can be this bus; None if there is one."""
    trouble = Trouble.BUS_FOREIGN
    if link is None:
        trouble = Trouble.BUS_ABSENT
        text = (
            f"the CAN controller {bus} is absent; plug it in or load its driver, "
            "the bus is wired the moment it appears"
        )
    elif not link.is_can:
        text = f"the host's interface {bus} is no CAN interface any more; rename it"
    elif kind is BusKind.PHYSICAL and link.is_virtual:
        text = (
            f"the host's interface {bus} is a {link.kind} that has taken the name of a CAN "
            f"controller; remove it ('ip link del {bus}'), then plug the controller in anew"
        )
    else:
        return None
    return Problem(kind=trouble, bus=bus, text=text)


def _plan_controller(
    network: Network, link: Link, steps: list[Step], problems: list[Problem]
) -> Link | None:
    """Plan for a controller that a network sets.

    One on the wrong bitrate disturbs every node of its bus with each frame that it
    sends or hears: no rules are laid to it.
    """
    bus, wanted, seen = network.bus, network.settings, link.controller
    if seen is None:
        problems.append(
            Problem(
                kind=Trouble.BUS_SETTINGS,
                bus=bus,
                text=f"the driver of {bus} takes no settings by netlink; create its network "
                f"without {', '.join(f'vxcan.{name}' for name, _ in wanted.given())}",
            )
        )
        return link
    wrong = differences(wanted, seen, network.granted)
    if not link.up or (wrong and link.is_set_up_by_us):
        down = link.up
        if link.up and {each.name for each in wrong} == {"txqueuelen"}:
            # The one setting that is changed without leaving the bus.
            wanted, down = ControllerSettings(txqueuelen=wanted.txqueuelen), False
        steps.append(ConfigureBus(bus, link.index, link.name, wanted, seen.settings(), down))
        return link
    if wrong:
        has = ", ".join(f"{each.name} {each.seen} instead of {each.wanted}" for each in wrong)
        problems.append(
            Problem(
                kind=Trouble.BUS_SETTINGS,
                bus=bus,
                text=f"the controller {bus} was set up by somebody else with {has}; evercan leaves "
                f"it alone: run 'ip link set {bus} down' on the host and it is set as asked, or "
                "create its network with what it has",
            )
        )
        return None if any(each.disturbs for each in wrong) else link
    problems.extend(_bus_off(bus, link))
    return link


def _bus_off(bus: str, link: Link) -> Iterator[Problem]:
    """Say that a controller has left its bus and will not come back by itself, if it has."""
    controller = link.controller
    if controller is None or controller.restart_ms:
        return
    if controller.state is ControllerState.BUS_OFF:
        yield Problem(
            kind=Trouble.BUS_OFF,
            bus=bus,
            text=f"the controller {bus} is bus-off after too many errors and sends nothing; look "
            "at its wires, its termination and the bitrate of the others, then run 'ip link set "
            f"{link.name} type can restart' on the host; vxcan.restart-ms=100 does that by itself",
        )
