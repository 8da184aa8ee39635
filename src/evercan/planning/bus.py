"""What has to happen for a bus interface to be as declared; pure.

A virtual bus interface is created. A controller is waited for, configured as its network
asks, and brought up; one that somebody else has configured differently is left alone and
reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evercan.model.controller import ControllerSettings
from evercan.model.controller_match import differences
from evercan.model.declared import BusKind, Declared, Network
from evercan.model.names import looks_like_hardware
from evercan.model.observed import FD_MTU, Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import BringUp, ConfigureBus, MakeBus, SetMtu, Step
from evercan.planning.bus_off import plan_bus_off


def plan_bus(
    declared: Declared,
    networks: Sequence[Network],
    observed: Observed,
    steps: list[Step],
    problems: list[Problem],
) -> Link | None:
    """Plan the bus interface of some networks; return it if it can get rules."""
    bus, kind = networks[0].bus, networks[0].kind
    link = observed.find(bus)
    link_kind = networks[0].link_kind
    if link is None and kind is BusKind.VIRTUAL and link_kind == "vcan":
        steps.append(MakeBus(bus, for_host=not any(network.owns_bus for network in networks)))
        return None
    unusable = _unusable(bus, kind, link, link_kind)
    if unusable is not None:
        problems.append(unusable)
    if unusable is not None or link is None:
        return None
    setter = declared.network_that_sets(bus)
    if setter is not None and kind is BusKind.PHYSICAL:
        return _plan_controller(declared, observed, setter, link, steps, problems)
    if any(network.owns_bus for network in networks):
        problems.extend(_impersonates(declared, observed, bus, link))
    if link.is_ours and link.mtu != FD_MTU:
        steps.append(SetMtu(bus, None, link.index, link.name, FD_MTU))
    elif link.up:
        plan_bus_off(bus, link, None, observed, steps, problems)
    elif link.is_ours:
        steps.append(BringUp(bus, None, link.name))
    else:
        problems.append(_down(bus, link))
    return link


def _down(bus: str, link: Link) -> Problem:
    remedy = f"on the host run 'ip link set {bus} up'"
    if link.controller is not None:
        remedy += " ('… type can bitrate N'), or give its network vxcan.bitrate"
    return Problem(
        kind=ProblemKind.BUS_DOWN,
        bus=bus,
        text=f"the bus interface {bus} is down, and evercan did not create it",
        remedy=remedy,
    )


def _impersonates(
    declared: Declared, observed: Observed, bus: str, link: Link
) -> Iterator[Problem]:
    """Report a vcan with the name of a controller while an unused controller exists."""
    if not (link.is_ours and looks_like_hardware(bus)):
        return
    used = [observed.find(name) for name in declared.host_interfaces()]
    unused = sorted(
        other.name
        for other in observed.links.values()
        if other.controller is not None and other not in used
    )
    if unused:
        yield Problem(
            kind=ProblemKind.BUS_IMPERSONATES,
            bus=bus,
            text=f"{bus} is a virtual bus with the name of a controller, and no network uses the "
            f"controller {', '.join(unused)}: it was probably absent when the network was created",
            remedy=f"if the network is for the controller, remove it and create it with "
            f"vxcan.kind=physical; if {bus} is meant to be virtual, give it another vxcan.dev",
        )


def _unusable(bus: str, kind: BusKind, link: Link | None, link_kind: str) -> Problem | None:
    """Return why no interface can be this bus; None if there is one."""
    problem_kind = ProblemKind.BUS_FOREIGN
    if link is None and kind is BusKind.VIRTUAL:
        problem_kind = ProblemKind.BUS_ABSENT
        text = f"the host's {link_kind} interface {bus} is absent"
        remedy = "create it as before; evercan adds the bus's rules as soon as it appears"
    elif link is None:
        problem_kind = ProblemKind.BUS_ABSENT
        text = f"the CAN controller {bus} is absent"
        remedy = "plug it in or load its driver; evercan adds the bus's rules as soon as it appears"
    elif not link.is_can:
        text = f"the host's interface {bus} is no longer a CAN interface"
        remedy = "rename it"
    elif kind is BusKind.VIRTUAL and link_kind != link.kind == "vcan" and link.is_ours:
        text = f"the host's interface {bus} is a vcan in the place of a {link_kind}"
        remedy = f"remove it ('ip link del {bus}'), then create the {link_kind} again"
    elif kind is BusKind.PHYSICAL and link.is_virtual:
        text = f"the host's interface {bus} is a {link.kind} with the name of a CAN controller"
        remedy = f"remove it ('ip link del {bus}'), then re-plug the controller"
    else:
        return None
    return Problem(kind=problem_kind, bus=bus, text=text, remedy=remedy)


def _plan_controller(
    declared: Declared,
    observed: Observed,
    network: Network,
    link: Link,
    steps: list[Step],
    problems: list[Problem],
) -> Link | None:
    """Plan a controller that a network configures.

    A controller with the wrong bitrate disturbs every node of its bus with each frame
    that it sends or receives: it gets no rules.
    """
    bus, wanted, seen = network.bus, network.settings, link.controller
    if seen is None:
        options = ", ".join(f"vxcan.{name}" for name, _ in wanted.given())
        problems.append(
            Problem(
                kind=ProblemKind.BUS_SETTINGS,
                bus=bus,
                text=f"the driver of {bus} takes no settings by netlink",
                remedy=f"create its network without {options}",
            )
        )
        return link
    configured = declared.configured.get(link.index)
    granted = None if configured is None else configured.made_of(wanted)
    wrong = differences(wanted, seen, granted)
    if not link.up or (wrong and configured is not None):
        down = link.up
        if link.up and {difference.name for difference in wrong} == {"txqueuelen"}:
            # The only setting that can be changed while the controller is up.
            wanted, down = ControllerSettings(txqueuelen=wanted.txqueuelen), False
        steps.append(ConfigureBus(bus, link.index, link.name, wanted, seen.settings(), down))
        return link
    if wrong:
        has = ", ".join(f"{item.name} {item.seen} instead of {item.wanted}" for item in wrong)
        problems.append(
            Problem(
                kind=ProblemKind.BUS_SETTINGS,
                bus=bus,
                text=f"somebody else configured the controller {bus} with {has}, so evercan "
                "leaves it alone",
                remedy=f"run 'ip link set {bus} down' on the host, then evercan configures it as "
                "asked, or create its network with the settings that it has",
            )
        )
        return None if any(difference.disturbs for difference in wrong) else link
    plan_bus_off(bus, link, wanted.restart_ms, observed, steps, problems)
    return link
