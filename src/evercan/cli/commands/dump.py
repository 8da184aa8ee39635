"""``evercan dump``: a bus's frames as they pass."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from evercan.cli.access.engine import Engine, Network, Plugin
from evercan.cli.access.host import Host
from evercan.cli.access.reach import Wish, choose, host_of, socket_of
from evercan.cli.errors import CliError, NoAccess, NoNetwork, Silent
from evercan.cli.views.traffic import (
    HOLD,
    Filter,
    Frame,
    Merger,
    columns,
    parse,
    parse_filter,
    passes,
    write,
)

_TICK = 0.02


@dataclass(frozen=True)
class Limits:
    """What to print, and when to end.

    Attributes:
        filters: ids, any of them.
        senders: names of containers, or of the bus interface.
        count: frames; None for no end.
        duration: seconds; None for no end.
        as_bus: write the bus interface in place of the sender.
    """

    filters: Sequence[str] = ()
    senders: Sequence[str] = ()
    count: int | None = None
    duration: float | None = None
    as_bus: bool = False


@dataclass(frozen=True)
class Wiring:
    """A bus interface, and the containers behind each host end on it, by name."""

    bus: str
    ends: dict[str, str] = field(default_factory=dict)


def dump(wish: Wish, network: str, limits: Limits) -> int:
    """Print until a limit is reached, or until it is interrupted.

    Raises:
        CliError: there is no such network, or its frames cannot be read.
    """
    filters = [parse_filter(each) for each in limits.filters]
    try:
        with closing(Engine(wish.engine)) as engine:
            choose(engine.plugins(), wish.plugin)  # or it need not be asked what leads to it
            with host_of(engine, wish) as host:
                _Printer(engine, wish, host, network, limits, filters).run()
    except KeyboardInterrupt:
        return 0  # how a person ends it
    return 0


class _Printer:
    """One run of the command."""

    def __init__(
        self,
        engine: Engine,
        wish: Wish,
        host: Host,
        network: str,
        limits: Limits,
        filters: Sequence[Filter],
    ) -> None:
        self._engine, self._wish, self._host = engine, wish, host
        self._network, self._limits, self._filters = network, limits, filters
        self._lines: queue.SimpleQueue[str | CliError] = queue.SimpleQueue()
        self._printed = 0
        self._strangers: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        wiring = self._look()
        self._merger = Merger(wiring.bus, set(wiring.ends))
        self._take(wiring)
        for each in limits.senders:
            if each not in (wiring.bus, *wiring.ends.values()):
                known = ", ".join([wiring.bus, *sorted(wiring.ends.values())])
                raise CliError(f"--from {each} is not on network {network}; there are {known}")

    def run(self) -> None:
        """Read, order, print."""
        threading.Thread(target=self._read, daemon=True).start()
        ends = None
        if self._limits.duration is not None:
            ends = time.monotonic() + self._limits.duration
        while ends is None or time.monotonic() < ends:
            self._gather()
            if self._print(self._merger.ready(time.monotonic())):
                return
        time.sleep(HOLD)
        self._gather()
        self._print(self._merger.rest())

    def _read(self) -> None:
        try:
            for line in self._host.frames():
                self._lines.put(line)
        except CliError as error:
            self._lines.put(error)

    def _gather(self) -> None:
        """Take what has come, and wait a moment if nothing has."""
        try:
            line = self._lines.get(timeout=_TICK)
            while True:
                if isinstance(line, CliError):
                    raise line
                if line.startswith("DROPCOUNT"):
                    print(f"too slow, frames were lost here: {line}", file=sys.stderr)
                seen = parse(line)
                if seen is not None:
                    self._meet(seen.interface)
                    self._merger.push(seen, time.monotonic())
                line = self._lines.get_nowait()
        except queue.Empty:
            return

    def _meet(self, interface: str) -> None:
        """Look again when an interface is seen for the first time: a container may have joined."""
        if interface in self._merger.ends or interface in self._strangers:
            return
        if interface != self._merger.bus:
            self._strangers.add(interface)
            self._take(self._look())

    def _take(self, wiring: Wiring) -> None:
        self._names = wiring.ends | {wiring.bus: wiring.bus}
        self._merger.ends |= set(wiring.ends)
        self._columns = columns(wiring.ends, wiring.bus)
        for end, name in sorted(wiring.ends.items()):
            if self._columns[end] != name and (self._columns[end], name) not in self._told:
                self._told.add((self._columns[end], name))
                print(f"{self._columns[end]} is {name}", file=sys.stderr)

    def _print(self, frames: Iterator[Frame]) -> bool:
        """Print what is wished for; tell whether that was all."""
        done = False
        for frame in frames:
            if not passes(self._filters, frame.can_id):
                continue
            wanted = self._limits.senders
            if wanted and self._names.get(frame.sender, frame.sender) not in wanted:
                continue
            column = self._columns.get(frame.sender, frame.sender)
            sys.stdout.write(write(frame, self._merger.bus if self._limits.as_bus else column))
            sys.stdout.write("\n")
            self._printed += 1
            if self._printed == self._limits.count:
                done = True
                break
        sys.stdout.flush()
        return done

    def _look(self) -> Wiring:
        plugins = choose(self._engine.plugins(), self._wish.plugin)
        networks = {each: self._engine.networks(each.name) for each in plugins}
        for plugin, listed in networks.items():
            for each in listed:
                if self._network in (each.name, each.id) or (
                    len(self._network) >= 12 and each.id.startswith(self._network)
                ):
                    return self._wiring(plugin, each, listed)
        known = [each.name for listed in networks.values() for each in listed]
        raise NoNetwork(self._network, known, plugins[0].name)

    def _wiring(self, plugin: Plugin, wanted: Network, listed: Sequence[Network]) -> Wiring:
        """Ask the plugin for its interfaces; without the right to ask, derive them."""
        try:
            status = socket_of(plugin, self._host, self._wish).get("/status")
        except (NoAccess, Silent):
            return derived(wanted, listed)
        return told(status, wanted, listed)


def told(status: dict[str, object], wanted: Network, listed: Sequence[Network]) -> Wiring:
    """Read the wiring of a network's bus from the plugin's status; all of its networks count."""
    networks = status.get("networks")
    known = networks if isinstance(networks, list) else []
    bus = next((each.get("bus") for each in known if each.get("network") == wanted.id), None)
    if bus is None:
        return derived(wanted, listed)
    names = {each.endpoint: each.container for net in listed for each in net.members}
    return Wiring(
        bus,
        {
            end: names.get(each.get("endpoint"), end)
            for net in known
            if net.get("bus") == bus
            for each in net.get("endpoints") or ()
            if (end := each.get("host_end"))
        },
    )


def derived(wanted: Network, listed: Sequence[Network]) -> Wiring:
    """Guess the wiring from options and ids, as the plugin names its interfaces at first."""
    bus = _bus_of(wanted)
    return Wiring(
        bus,
        {
            f"vxcan{each.endpoint[:8]}": each.container
            for net in listed
            if _bus_of(net) == bus
            for each in net.members
        },
    )


def _bus_of(network: Network) -> str:
    options = network.options
    return f"{options.get('vxcan.dev', 'vcan')}{options.get('vxcan.id', '0')}"
