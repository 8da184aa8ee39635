"""Hypothesis strategies: a host in any state that evercan, the engine and others can leave."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from evercan.model.access import Access, receive_filters, send_filters
from evercan.model.controller import NO_SETTINGS, ControllerSettings
from evercan.model.declared import BusKind, Configured, Declared, Network, Phase
from evercan.model.names import wire_names
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.model.rule import Rule
from evercan.model.steps import (
    ConfigureBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    SetFilters,
    SetWireEntry,
)
from evercan.model.wire import Wire, WireEntry
from evercan.values import replace
from tests.support.declarations import declare, endpoint
from tests.support.fake_kernel import FakeKernel

BUSES = ("vcan0", "vcan1", "can0")
SETTINGS = (NO_SETTINGS, ControllerSettings(bitrate=500_000, restart_ms=100))
ENDPOINTS = ("aa", "bb", "cc", "dd")

LIMITS = (None, None, Access(send="123"), Access("all", "none", 100, 10))
"""Of endpoints; None is none."""

OTHER = ControllerSettings(bitrate=125_000)


@dataclass
class Situation:
    """A declared state, and the kernel as it is found."""

    declared: Declared
    kernel: FakeKernel

    def ours(self, observed: Observed) -> set[int]:
        """Return the ifindexes that evercan may change: tagged, and named in its state.

        A bus that was there before is tagged only if evercan has created it again.
        """
        known = {
            name
            for endpoint in self.declared.endpoints.values()
            for name in endpoint.host_interfaces
        }
        known |= {network.bus for network in self.declared.networks.values()}
        known |= self.declared.retired
        known |= {f"{name}p" for name in known}
        for network in self.declared.networks.values():
            if network.wire is not None:
                known.update(wire_names(network.bus))
        return {
            link.index for link in observed.links.values() if link.is_ours and link.name in known
        }

    def may_configure(self, observed: Observed) -> set[str]:
        """Return the controllers that evercan may configure.

        A network asks for it, and they are down or evercan configured them before.
        """
        return {
            link.name
            for link in observed.links.values()
            if link.controller is not None
            and self.declared.network_that_sets(link.name) is not None
            and (not link.up or self._is_configured(link))
        }

    def _is_configured(self, link: Link) -> bool:
        return link.index in self.declared.configured


def _with_configured(declared: Declared, kernel: FakeKernel) -> Situation:
    """Add to the declared state which controllers evercan has configured."""
    setter = declared.network_that_sets("can0")
    asked = NO_SETTINGS if setter is None else setter.settings
    configured = dict.fromkeys(kernel.configured, Configured(asked))
    return Situation(replace(declared, configured=configured), kernel)


BITRATES = (
    *(NO_SETTINGS, NO_SETTINGS),
    ControllerSettings(bitrate=125_000),
    ControllerSettings(bitrate=500_000, dbitrate=2_000_000, fd=True),
)
"""Settings of virtual buses; those without are as fast as the processor."""

WIRES = (Wire(125_000), Wire(500_000, 2_000_000), Wire(83_000))


@st.composite
def declared_states(draw: st.DrawFn) -> Declared:
    """Draw a declared state as evercan's own changes could have left it."""
    networks: list[Network] = []
    for bus in draw(st.lists(st.sampled_from(BUSES), max_size=3)):
        earlier = next((network for network in networks if network.bus == bus), None)
        networks.append(
            Network(
                id=f"net{len(networks)}",
                bus=bus,
                kind=BusKind.PHYSICAL if bus == "can0" else BusKind.VIRTUAL,
                owns_bus=bus != "can0" and (earlier.owns_bus if earlier else draw(st.booleans())),
                settings=draw(st.sampled_from(SETTINGS if bus == "can0" else BITRATES)),
            )
        )
    endpoints = []
    if networks:
        for name in draw(st.lists(st.sampled_from(ENDPOINTS), unique=True)):
            network = draw(st.sampled_from(networks)).id
            known = endpoint(name, network, draw(st.sampled_from(Phase)))
            endpoints.append(replace(known, access=draw(st.sampled_from(LIMITS))))
    wanted = {name for known in endpoints for name in known.host_interfaces}
    wanted |= {network.bus for network in networks}
    slow = {network.bus for network in networks if network.wire is not None}
    wanted |= {name for bus in slow for name in wire_names(bus)}
    retired = {f"vxcan{name}{end}" for name in ENDPOINTS for end in ("", "f")} | {"vcan0", "vcan1"}
    retired |= {name for bus in ("vcan0", "vcan1") for name in wire_names(bus)}
    dormant = {
        name
        for known in endpoints
        if known.phase is Phase.DORMANT
        for name in known.host_interfaces
    }
    return declare(
        networks,
        endpoints,
        retired=draw(st.sets(st.sampled_from(sorted(retired)))) - wanted | dormant,
    )


@st.composite
def kernels(draw: st.DrawFn) -> FakeKernel:
    """Draw a host's interfaces, of evercan and of others, up or down, with any rules."""
    kernel = FakeKernel()
    for bus in BUSES:
        _draw_bus(draw, kernel, bus)
    for nsid, name in enumerate(ENDPOINTS):
        _draw_pair(draw, kernel, name, nsid)
        _draw_filters(draw, kernel, name)
    for bus in ("vcan0", "vcan1"):
        _draw_wire(draw, kernel, bus)
    _draw_rules(draw, kernel)
    missing = draw(st.sampled_from(["", "", "", "", "vcan", "vxcan", "can-gw"]))
    kernel.modules.discard(missing)
    if missing == "can-gw":
        kernel.flush_rules()
    return kernel


def _draw_controller(draw: st.DrawFn, kernel: FakeKernel) -> None:
    state = draw(st.sampled_from(["absent", "new", "theirs", "as asked", "ours", "vcan", "no CAN"]))
    if state == "absent":
        return
    if state in ("vcan", "no CAN"):
        kernel.make("can0", "vcan" if state == "vcan" else "", up=True, is_can=state == "vcan")
        return
    kernel.plug("can0")
    if state == "ours":
        kernel.apply(
            [ConfigureBus("can0", kernel.link("can0").index, "can0", OTHER, NO_SETTINGS, False)]
        )
    elif state != "new":
        kernel.configure_controller("can0", SETTINGS[1] if state == "as asked" else OTHER)
    if state != "new" and draw(st.booleans()):
        kernel.set_flag("can0", up=False)


def _draw_bus(draw: st.DrawFn, kernel: FakeKernel, bus: str) -> None:
    if bus == "can0":
        _draw_controller(draw, kernel)
        return
    state = draw(st.sampled_from(["absent", "tagged", "foreign", "down", "no CAN"]))
    if state != "absent":
        kernel.make(
            bus,
            "vcan",
            group=LINK_GROUP if state in ("tagged", "down") else 0,
            up=state != "down",
            is_can=state != "no CAN",
        )


def _draw_pair(draw: st.DrawFn, kernel: FakeKernel, name: str, nsid: int) -> None:
    host_end = f"vxcan{name}"
    state = draw(st.sampled_from(["absent", "on the host", "in a container", "down", "foreign"]))
    if state == "foreign":
        kernel.make(host_end, "vxcan")
    elif state != "absent":
        kernel.apply([MakePair("", name, host_end, f"{host_end}p")])
        if state != "on the host":
            kernel.move_in(f"{host_end}p", nsid)
        if state == "down":
            kernel.set_flag(host_end, up=False)


def _draw_filters(draw: st.DrawFn, kernel: FakeKernel, name: str) -> None:
    """Draw the filter interface of an endpoint, and classifiers of any limits."""
    between = f"vxcan{name}f"
    state = draw(st.sampled_from(["absent", "absent", "there", "down", "foreign"]))
    if state == "foreign":
        kernel.make(between, up=True)
    elif state != "absent":
        kernel.apply([MakeFilterInterface("", name, between)])
        links = kernel.observe().links
        host_end, index = links.get(f"vxcan{name}"), links[between].index
        access = draw(st.sampled_from(LIMITS))
        if access is not None and host_end is not None and host_end.is_pair:
            send, receive = send_filters(access, index), receive_filters(access, host_end.index)
            ends = (host_end.index, host_end.name, True, send), (index, between, False, receive)
            kernel.apply([SetFilters("", name, *end) for end in ends[: draw(st.integers(0, 2))]])
        if state == "down":
            kernel.set_flag(between, up=False)


def _draw_wire(draw: st.DrawFn, kernel: FakeKernel, bus: str) -> None:
    """Draw the wire of a bus, whole or damaged, and what leads into it."""
    name, meter = wire_names(bus)
    state = draw(
        st.sampled_from(["absent", "absent", "there", "flushed", "down", "one", "foreign"])
    )
    if state == "foreign":
        kernel.make(name, "dummy", is_can=False)
    elif state != "absent":
        kernel.apply([MakeWire(bus, name, meter, draw(st.sampled_from(WIRES)))])
        for link in kernel.observe().links.values():
            if link.is_can and draw(st.booleans()):
                index, other = (kernel.link(end).index for end in (name, meter))
                entry = WireEntry(index, other, draw(st.booleans()))
                kernel.apply([SetWireEntry(bus, None, link.index, link.name, entry)])
    if state == "flushed":
        kernel.wires.flush(kernel.link(name).index)
    elif state == "down":
        kernel.set_flag(meter, up=False)
    elif state == "one":
        kernel.delete(name)


def _draw_rules(draw: st.DrawFn, kernel: FakeKernel) -> None:
    can = [link.index for link in kernel.observe().links.values() if link.is_can]
    if not can:
        return
    rule = st.builds(
        Rule,
        st.sampled_from(can),
        st.sampled_from(can),
        st.sampled_from([0x4, 0x5, 0xC, 0xD, 0x0, 0x8]),
        st.sampled_from([1, 1, 0]),
        st.sampled_from([b"", b"", b"\x0c\x00\x0b\x00filtered"]),
    )
    for drawn in draw(st.lists(rule, max_size=10)):
        kernel.add_rule(drawn)


def situations() -> st.SearchStrategy[Situation]:
    """Draw a declared state and, independently, what exists."""
    return st.builds(_with_configured, declared_states(), kernels())
