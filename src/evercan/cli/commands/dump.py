"""``evercan dump``: print a bus's frames as they pass."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.host import HostAccess
from evercan.cli.access.reach import Target, host_access, plugin_socket, select_plugins
from evercan.cli.errors import CliError, NoAccess, NoAnswer, NoNetwork
from evercan.cli.views.docker import DockerNetwork, DockerPlugin
from evercan.cli.views.traffic import (
    HOLD,
    BusFrame,
    Filter,
    Merger,
    as_json,
    columns,
    parse,
    parse_filter,
    passes,
    write,
)

_TICK = 0.02


@dataclass(frozen=True)
class DumpOptions:
    """What to print, and when to end.

    Attributes:
        filters: filters of CAN ids; a frame passes if any of them lets it pass.
        senders: names of containers, or of the bus interface.
        count: frames; None for no limit.
        duration: seconds; None for no limit.
        as_bus: write the bus interface in place of the sender.
        json: print one JSON object a line instead of candump's log format.
    """

    filters: Sequence[str] = ()
    senders: Sequence[str] = ()
    count: int | None = None
    duration: float | None = None
    as_bus: bool = False
    json: bool = False


@dataclass(frozen=True)
class Wiring:
    """A bus interface, and the container of each host end on it by name."""

    bus: str
    ends: dict[str, str] = field(default_factory=dict)


def dump(target: Target, network: str, options: DumpOptions) -> int:
    """Print until a limit is reached, or until Ctrl-C.

    Raises:
        CliError: there is no such network, or its frames cannot be read.
    """
    filters = [parse_filter(text) for text in options.filters]
    try:
        with closing(DockerEngine(target.engine)) as engine:
            # Report a missing plugin before the access to the host is opened.
            select_plugins(engine.plugins(), target.plugin)
            with host_access(engine, target) as host:
                _Printer(engine, target, host, network, options, filters).run()
    except KeyboardInterrupt:
        return 0  # this is how a person ends it
    return 0


class _Printer:
    """Reads, sorts and prints the frames of one run."""

    def __init__(
        self,
        engine: DockerEngine,
        target: Target,
        host: HostAccess,
        network: str,
        options: DumpOptions,
        filters: Sequence[Filter],
    ) -> None:
        self._engine, self._target, self._host = engine, target, host
        self._network, self._options, self._filters = network, options, filters
        self._lines: queue.SimpleQueue[str | CliError] = queue.SimpleQueue()
        self._printed = 0
        self._other_interfaces: set[str] = set()
        self._reported: set[tuple[str, str]] = set()
        wiring = self._read_wiring()
        self._merger = Merger(wiring.bus, set(wiring.ends))
        self._use(wiring)
        for sender in options.senders:
            if sender not in (wiring.bus, *wiring.ends.values()):
                known = ", ".join([wiring.bus, *sorted(wiring.ends.values())])
                raise CliError(f"--from {sender} is not on network {network}", f"senders: {known}")

    def run(self) -> None:
        """Read, sort and print frames."""
        threading.Thread(target=self._read, daemon=True).start()
        ends = None
        if self._options.duration is not None:
            ends = time.monotonic() + self._options.duration
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
        """Take the lines that have arrived; wait a moment if there are none."""
        try:
            line = self._lines.get(timeout=_TICK)
            while True:
                if isinstance(line, CliError):
                    raise line
                if line.startswith("DROPCOUNT"):
                    print(f"frames were lost, reading is too slow: {line}", file=sys.stderr)
                captured = parse(line)
                if captured is not None:
                    self._notice(captured.interface)
                    self._merger.push(captured, time.monotonic())
                line = self._lines.get_nowait()
        except queue.Empty:
            return

    def _notice(self, interface: str) -> None:
        """Read the wiring again for a new interface: a container may have joined."""
        if interface in self._merger.ends or interface in self._other_interfaces:
            return
        if interface != self._merger.bus:
            self._other_interfaces.add(interface)
            self._use(self._read_wiring())

    def _use(self, wiring: Wiring) -> None:
        self._names = wiring.ends | {wiring.bus: wiring.bus}
        self._merger.ends |= set(wiring.ends)
        self._columns = columns(wiring.ends, wiring.bus)
        if self._options.json:
            return  # names are written in full
        for end, name in sorted(wiring.ends.items()):
            if self._columns[end] != name and (self._columns[end], name) not in self._reported:
                self._reported.add((self._columns[end], name))
                print(f"{self._columns[end]} is {name}", file=sys.stderr)

    def _print(self, frames: Iterator[BusFrame]) -> bool:
        """Print the frames that pass; return whether the limit is reached."""
        done = False
        for frame in frames:
            if not passes(self._filters, frame.can_id):
                continue
            wanted = self._options.senders
            if wanted and self._names.get(frame.sender, frame.sender) not in wanted:
                continue
            sys.stdout.write(f"{self._line(frame)}\n")
            self._printed += 1
            if self._printed == self._options.count:
                done = True
                break
        sys.stdout.flush()
        return done

    def _line(self, frame: BusFrame) -> str:
        bus = self._merger.bus
        if self._options.json:
            name = bus if self._options.as_bus else self._names.get(frame.sender, frame.sender)
            return json.dumps(as_json(frame, name, bus), ensure_ascii=False)
        column = self._columns.get(frame.sender, frame.sender)
        return write(frame, bus if self._options.as_bus else column)

    def _read_wiring(self) -> Wiring:
        plugins = select_plugins(self._engine.plugins(), self._target.plugin)
        networks = {plugin: self._engine.networks(plugin.name) for plugin in plugins}
        for plugin, listed in networks.items():
            for network in listed:
                if self._network in (network.name, network.id) or (
                    len(self._network) >= 12 and network.id.startswith(self._network)
                ):
                    return self._wiring(plugin, network, listed)
        known = [network.name for listed in networks.values() for network in listed]
        raise NoNetwork(self._network, known, plugins[0].name)

    def _wiring(
        self, plugin: DockerPlugin, wanted: DockerNetwork, listed: Sequence[DockerNetwork]
    ) -> Wiring:
        """Read the interfaces from the plugin; derive them if it cannot be reached."""
        try:
            status = plugin_socket(plugin, self._host, self._target).get("/status")
        except (NoAccess, NoAnswer):
            return derived_wiring(wanted, listed)
        return reported_wiring(status, wanted, listed)


def reported_wiring(
    status: Mapping[str, Any], wanted: DockerNetwork, listed: Sequence[DockerNetwork]
) -> Wiring:
    """Read the wiring of a network's bus, with all networks on it, from the plugin's status."""
    known = status.get("networks") or []
    bus = next(
        (network.get("bus") for network in known if network.get("network") == wanted.id), None
    )
    if bus is None:
        return derived_wiring(wanted, listed)
    names = {member.endpoint: member.container for network in listed for member in network.members}
    return Wiring(
        bus,
        {
            end: names.get(endpoint.get("endpoint"), end)
            for network in known
            if network.get("bus") == bus
            for endpoint in network.get("endpoints") or ()
            # What a member with limits sends arrives on its filter interface only.
            if (
                end := (endpoint.get("access") or {}).get("filter_interface")
                or endpoint.get("host_end")
            )
        },
    )


def derived_wiring(wanted: DockerNetwork, listed: Sequence[DockerNetwork]) -> Wiring:
    """Derive the wiring from options and ids, by the names that the plugin gives at first.

    Raises:
        CliError: the plugin has chosen the bus's number (``vxcan.id=auto``).
    """
    bus = _bus_of(wanted)
    if bus is None:
        raise CliError(
            f"network {wanted.name} has vxcan.id=auto, and only the plugin knows its number",
            "run the command where the plugin's socket can be reached: as root on the host",
        )
    return Wiring(
        bus,
        {
            f"vxcan{member.endpoint[:8]}": member.container
            for network in listed
            if _bus_of(network) == bus
            for member in network.members
        },
    )


def _bus_of(network: DockerNetwork) -> str | None:
    options = network.options
    if options.get("vxcan.id") == "auto":
        return None
    return f"{options.get('vxcan.dev', 'vcan')}{options.get('vxcan.id', '0')}"
