"""Chooses what the bus interface of a new network is.

A controller is never replaced: where one is meant, no virtual interface gets its name, and
a virtual interface is never taken for a controller.
"""

from __future__ import annotations

from itertools import count

from evercan.errors import OptionError, printable
from evercan.model.controller import written
from evercan.model.declared import BusKind, Declared, Network
from evercan.model.names import why_invalid
from evercan.model.observed import Link, Observed
from evercan.options.network import AUTO, BRIDGE, DEV, ID, KIND, NetworkOptions, reject_on_virtual


def with_free_number(
    declared: Declared, observed: Observed, options: NetworkOptions
) -> NetworkOptions:
    """Choose the lowest number for a bus that has ``vxcan.id=auto``.

    Free is what no interface of the host is called, and what no network has, waits for or
    is about to leave: a bus that is to be deleted may still be there for others.

    Raises:
        OptionError: no name that is short enough is free.
    """
    prefix = options.auto_prefix
    if prefix is None:
        return options
    networks = declared.networks.values()
    taken = observed.names() | declared.retired | declared.pair_names()
    taken |= {name for network in networks for name in (network.bus, network.asked_bus)}
    taken |= declared.host_interfaces() | {*options.bridge}
    for number in count():
        bus = f"{prefix}{number}"
        if why_invalid(bus) is not None:
            raise OptionError(
                ID,
                AUTO,
                f"no name with the prefix {prefix} is free: {prefix}0 to {prefix}{number - 1} are "
                "in use",
                "choose a shorter vxcan.dev, or remove networks that are not needed",
            )
        if bus not in taken:
            return options._replace(bus=bus)
    raise AssertionError("numbers do not end")


def choose_bus(
    declared: Declared, observed: Observed, options: NetworkOptions
) -> tuple[BusKind, bool]:
    """Return what kind of bus it is, and whether evercan may remove its interface.

    Raises:
        OptionError: the interface is no CAN bus, is not of the kind that is asked for, or
            cannot be configured as asked.
    """
    link = observed.find(options.bus)
    # The same interface by another name is the same bus.
    bus = options.bus if link is None else link.name
    others = [network for network in declared.networks.values() if network.bus == bus]
    if link is not None:
        _require_bus(declared, options, link)
    _require_one_bus(declared, observed, options)
    kind = _kind(options, link, others)
    if options.settings:
        _require_settable(options, kind, link)
        for network in others:
            _require_agreement(options, network)
    if kind is BusKind.PHYSICAL:
        return kind, False
    if link is None:
        return kind, True
    # evercan may still delete an interface that it created for another network, or
    # created and was about to delete.
    ours = bus in declared.retired or any(network.owns_bus for network in others)
    return kind, link.is_deletable and ours


def _require_one_bus(declared: Declared, observed: Observed, options: NetworkOptions) -> None:
    """Reject an interface that would be a member of two buses, or cannot be a member of any.

    Interfaces are compared by what they are, whatever name is used for them.

    Raises:
        OptionError: names the interface.
    """
    bus = _real_name(observed, options.bus)
    owner: dict[str, tuple[Network, bool]] = {}
    for network in declared.networks.values():
        if _real_name(observed, network.bus) != bus:
            owner[_real_name(observed, network.bus)] = network, False
            owner |= {_real_name(observed, name): (network, True) for name in network.bridge}
    if bus in owner:
        other = owner[bus][0]
        raise OptionError(
            DEV,
            options.bus,
            f"{options.bus} is a member of the bus {other.bus} by {BRIDGE} of network "
            f"{other.id[:12]}",
            f"put the containers on the bus {other.bus}, or create that network without "
            f"{options.bus} in its {BRIDGE}",
        )
    known = {bus}
    for name in options.bridge:
        real = _real_name(observed, name)
        if real in known:
            what = "the network's bus interface itself" if real == bus else "given twice"
            also = "" if real == name else f" by its name {real}"
            raise OptionError(BRIDGE, name, f"{name} is {what}{also}", "leave it out")
        known.add(real)
        if real in owner:
            other, is_bridged = owner[real]
            role = "a member of" if is_bridged else "the interface of"
            raise OptionError(
                BRIDGE,
                name,
                f"{name} is {role} another bus, that of network {other.id[:12]} on {other.bus}",
                "an interface can be a member of one bus only: leave it out, or remove that "
                "network first",
            )
        link = observed.find(name)
        what = "no CAN interface" if link is not None and not link.is_can else ""
        if real in declared.pair_names() or (link is not None and link.is_of_endpoint):
            what = "a container's CAN interface"
        if what:
            raise OptionError(
                BRIDGE, name, f"the host's interface {name} is {what}", "name another interface"
            )


def _real_name(observed: Observed, name: str) -> str:
    """Return the name of the interface that has a name or an altname; an absent one keeps it."""
    link = observed.find(name)
    return name if link is None else link.name


def _require_bus(declared: Declared, options: NetworkOptions, link: Link) -> None:
    pairs = declared.pair_names()
    if not link.name.isprintable():
        raise OptionError(
            DEV,
            options.bus,
            f"the host's interface {printable(link.name)} has a name that is not printable text",
            f"rename it ('ip link set {options.bus} name NAME', while it is down)",
        )
    if link.is_can and link.name not in pairs:
        return
    what = "a container's CAN interface" if link.name in pairs else "no CAN interface"
    raise OptionError(
        DEV,
        options.bus,
        f"the host's interface {options.bus} is {what}",
        "choose another vxcan.dev or vxcan.id",
    )


def _kind(options: NetworkOptions, link: Link | None, others: list[Network]) -> BusKind:
    """Return the kind: as recorded, else as found, else as asked; reject what does not agree."""
    bus = options.bus
    found = None
    if link is not None:
        found = BusKind.VIRTUAL if link.is_virtual else BusKind.PHYSICAL
    recorded = others[0].kind if others else None
    asked = options.kind
    if found is BusKind.VIRTUAL and BusKind.PHYSICAL in (asked, recorded):
        kind = "" if link is None else link.kind
        remedy = f"remove it ('ip link del {bus}')"
        if recorded is None:
            remedy += f", or leave {KIND} out"
        raise OptionError(
            KIND,
            str(asked or AUTO),
            f"the host's interface {bus} is a {kind}, no controller",
            f"{remedy}; evercan waits for a controller that is absent",
        )
    if asked is BusKind.VIRTUAL and BusKind.PHYSICAL in (found, recorded):
        raise OptionError(
            KIND,
            str(asked),
            f"{bus} is a CAN controller",
            f"choose another vxcan.dev or vxcan.id, or set {KIND}=physical",
        )
    if asked is BusKind.PHYSICAL and recorded is BusKind.VIRTUAL:
        raise OptionError(
            KIND,
            str(asked),
            f"network {others[0].id[:12]} has {bus} as a virtual bus",
            "remove that network first",
        )
    return recorded or found or asked or BusKind.VIRTUAL


def _require_settable(options: NetworkOptions, kind: BusKind, link: Link | None) -> None:
    if kind is BusKind.VIRTUAL and options.kind is BusKind.VIRTUAL:
        return
    if kind is BusKind.VIRTUAL:
        there = "there is no" if link is None else f"it is a {link.kind}, no"
        reject_on_virtual(options.settings, f"{options.bus} is a virtual bus: {there} controller")
    if link is not None and link.controller is None:
        name, value = next(options.settings.given())
        raise OptionError(
            f"vxcan.{name}",
            written(name, value),
            f"the driver of {options.bus} takes no settings by netlink",
            "remove it and configure the interface with its own tool",
        )


def _require_agreement(options: NetworkOptions, other: Network) -> None:
    """Reject settings that differ from those of another network on the bus.

    One of the two may give fewer settings than the other, whichever comes first.
    """
    given, theirs = dict(options.settings.given()), dict(other.settings.given())
    for name, value in given.items():
        if name in theirs and theirs[name] != value:
            has = f"has {written(name, theirs[name])}"
        elif theirs and name not in theirs and not theirs.keys() <= given.keys():
            has = "leaves it alone"
        else:
            continue
        raise OptionError(
            f"vxcan.{name}",
            written(name, value),
            f"network {other.id[:12]} on the same bus {options.bus} {has}",
            "give the settings on one of the networks only, or identical settings on all",
        )
