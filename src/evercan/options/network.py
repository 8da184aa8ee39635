"""The options of a network, as typed values."""

from __future__ import annotations

from collections.abc import Mapping

from evercan.errors import OptionError, named, shown
from evercan.model.access import NOTHING_ASKED, AskedAccess
from evercan.model.controller import NO_SETTINGS, ControllerSettings, written
from evercan.model.declared import BusKind
from evercan.model.names import looks_like_hardware, why_invalid
from evercan.options.access import ACCESS_OPTIONS, access_of, asked_access
from evercan.options.controller import BITRATE, CONTROLLER_OPTIONS, FD, controller_settings
from evercan.options.reading import PEER, own_options, peer_prefix
from evercan.values import NamedTuple

DEV, ID, KIND, BRIDGE = "vxcan.dev", "vxcan.id", "vxcan.kind", "vxcan.bridge"
NETWORK_OPTIONS = (DEV, ID, PEER, KIND, BRIDGE, *ACCESS_OPTIONS, *CONTROLLER_OPTIONS)

MAX_BRIDGED = 16
"""Interfaces that one network may add to its bus: each adds rules for every member."""

AUTO = "auto"
"""The ``vxcan.kind`` that decides by what exists on the host; the ``vxcan.id`` that is free."""


class NetworkOptions(NamedTuple):
    """What a user asks for a network.

    Attributes:
        bus: ``vxcan.dev`` and ``vxcan.id``, the bus interface on the host. With
            ``vxcan.id=auto`` it is the first that may be chosen.
        auto_prefix: ``vxcan.dev``, if evercan is to choose a number (``vxcan.id=auto``).
        peer_prefix: ``vxcan.peer``.
        kind: ``vxcan.kind``; None is ``auto``.
        settings: what the controller is to be set to.
        bridge: ``vxcan.bridge``, further interfaces of the host that are members.
        access: what members may send and receive, where that is asked for.
    """

    bus: str = "vcan0"
    auto_prefix: str | None = None
    peer_prefix: str = "vcanp"
    kind: BusKind | None = None
    settings: ControllerSettings = NO_SETTINGS
    bridge: tuple[str, ...] = ()
    access: AskedAccess = NOTHING_ASKED


def network_options(options: Mapping[str, object]) -> NetworkOptions:
    """Read the ``-o`` map of a network.

    Raises:
        OptionError: names the first option that is unknown, malformed or too long.
    """
    own = own_options(options, NETWORK_OPTIONS)
    default = NetworkOptions()
    dev, suffix = own.get(DEV, "vcan"), own.get(ID, "0")
    if (why := why_invalid(suffix)) is not None:
        remedy = f"give a number or a name, as in {ID}=0 or {ID}=main, or {ID}={AUTO}"
        raise OptionError(ID, suffix, f"the end of the bus interface's name {why}", remedy)
    if not dev:
        raise OptionError(DEV, dev, "the prefix is empty", f"give one, as in {DEV}=vcan")
    auto = suffix == AUTO
    bus = f"{dev}0" if auto else f"{dev}{suffix}"
    if (why := why_invalid(bus)) is not None:
        raise OptionError(
            DEV,
            dev,
            f"the bus interface {shown(bus)} {why}",
            f"change {DEV} or {ID} (now {shown(suffix)})",
        )
    settings = controller_settings(own)
    kind = _kind(own.get(KIND, AUTO))
    if kind is BusKind.VIRTUAL:
        _reject_beside_bitrate(settings)
    if auto:
        _require_virtual(dev, bus, kind, settings)
        kind = BusKind.VIRTUAL
    access = asked_access(own)
    access_of(access)  # rejects options that no member could have
    return NetworkOptions(
        bus=bus,
        auto_prefix=dev if auto else None,
        peer_prefix=peer_prefix(own.get(PEER, default.peer_prefix)),
        kind=kind,
        settings=settings,
        bridge=_bridge(own[BRIDGE]) if BRIDGE in own else (),
        access=access,
    )


def _bridge(value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    remedy = f"give names of interfaces, separated by commas, as in {BRIDGE}=vcan9,can1"
    for name in names:
        if (why := why_invalid(name)) is not None:
            raise OptionError(BRIDGE, value, f"the name {shown(name)} {why}", remedy)
        if names.count(name) > 1:
            raise OptionError(BRIDGE, value, f"{name} is given twice", "give it once")
    if len(names) > MAX_BRIDGED:
        raise OptionError(
            BRIDGE,
            value,
            f"has {len(names)} interfaces, and a network can have {MAX_BRIDGED}",
            f"give at most {MAX_BRIDGED}",
        )
    return names


def _require_virtual(
    dev: str, bus: str, kind: BusKind | None, settings: ControllerSettings
) -> None:
    """Reject ``vxcan.id=auto`` for a controller: evercan creates the bus that it numbers."""
    if kind is BusKind.PHYSICAL or (settings and kind is None):
        why = "a controller has a name of its own"
    elif looks_like_hardware(bus):
        why = f"a controller that is plugged in later may get a name like {bus}"
    else:
        return
    raise OptionError(
        ID,
        AUTO,
        f"{why}, so that evercan cannot choose its number ({DEV}={named(dev)})",
        f"give the controller's number, or for a virtual bus another {DEV}, such as vcan",
    )


def _kind(value: str) -> BusKind | None:
    kinds = [AUTO, *BusKind]
    if value not in kinds:
        raise OptionError(KIND, value, "is not a kind of bus", f"known here: {', '.join(kinds)}")
    return None if value == AUTO else BusKind(value)


def reject_on_virtual(settings: ControllerSettings, why: str) -> None:
    """Reject settings on a bus that turns out to be virtual, and was not asked for as one.

    Raises:
        OptionError: names the first that is given.
    """
    for name, value in settings.given():
        raise OptionError(
            f"vxcan.{name}",
            written(name, value),
            f"{why}, and only a controller can be configured",
            f"remove it, or name a controller and set {KIND}=physical, which waits for it; for a "
            f"virtual bus that is as slow as a wire, set {KIND}=virtual and {BITRATE}",
        )


def _reject_beside_bitrate(settings: ControllerSettings) -> None:
    """Reject what a virtual bus cannot have: all but its bitrates, and FD, which it always has.

    Raises:
        OptionError: names the first.
    """
    for name, value in settings.given():
        if name not in ("bitrate", "dbitrate", "fd"):
            raise OptionError(
                f"vxcan.{name}",
                written(name, value),
                f"{KIND}=virtual asks for a bus without a controller, and such a bus has only "
                "bitrates",
                f"remove it, or name a controller and set {KIND}=physical, which waits for it",
            )
    if settings.fd is False:
        raise OptionError(
            FD, written("fd", False), "a virtual bus always carries FD frames", "remove it"
        )
