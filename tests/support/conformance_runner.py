"""Run cases on a kernel, and describe what is observed after each act.

The same cases run on the fake and on a real kernel. This file needs the standard
library, evercan's ``kernel`` and what that imports, so that it runs on a testbed's
host: ``unshare --net python3 conformance_runner.py < cases.json``.

A case is a list of acts, each ``[verb, argument, …]``. The verbs are the methods
of ``Runner`` without their ``do_``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from evercan.kernel.port import Kernel
from evercan.model.access import Access, receive_filters, send_filters
from evercan.model.controller import NO_SETTINGS, Controller, ControllerSettings
from evercan.model.fault import FaultMatch, FaultQueue, Netem
from evercan.model.names import wire_names
from evercan.model.observed import FILTER_GROUP, HOST_GROUP, LINK_GROUP, Link, Location
from evercan.model.rule import Rule
from evercan.model.rule_list import RuleList
from evercan.model.steps import (
    AddRules,
    BringUp,
    ClearTag,
    ConfigureBus,
    DeleteLink,
    MakeBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    NameEnd,
    RemoveRules,
    RepairPair,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)
from evercan.model.wire import Wire, WireEntry

Act = Sequence[Any]
Case = Sequence[Act]

NOBODY = 999_999
"""An ifindex that no interface has."""


_TAGS = {LINK_GROUP: "evercan's", HOST_GROUP: "the host's", FILTER_GROUP: "a filter interface's"}


class Others(Protocol):
    """Whoever else changes the kernel: people, and the engine."""

    def make(self, name: str) -> None:
        """Create a vcan, untagged and down."""

    def delete(self, name: str) -> None:
        """Delete an interface."""

    def set_down(self, name: str) -> None:
        """Set an interface down."""

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set the MTU of an interface, which is down meanwhile."""

    def flush_rules(self) -> None:
        """Remove every rule."""

    def flush_filters(self, name: str) -> None:
        """Remove the classifiers of an interface."""

    def set_queue(self, name: str) -> None:
        """Give an interface another queue."""

    def remove_queue(self, name: str) -> None:
        """Remove the queue of an interface."""

    def take(self, name: str, sandbox: int, inside: str) -> None:
        """Move an interface into a sandbox, rename it there and bring it up."""

    def give_back(self, sandbox: int, inside: str, name: str) -> None:
        """Set an interface of a sandbox down, rename it and move it back."""

    def inside(self, sandbox: int) -> dict[str, bool]:
        """Return the CAN interfaces of a sandbox, and whether they are up."""

    def altnames(self, sandbox: int) -> dict[str, list[str]]:
        """Return the altnames of a sandbox's CAN interfaces that have any."""

    def plug(self, name: str) -> None:
        """Plug a controller in, under this name."""

    def unplug(self, name: str) -> None:
        """Unplug it."""

    def configure(self, name: str, settings: ControllerSettings) -> int:
        """Configure a controller and bring it up, as ``ip`` does; return its exit status."""


class Runner:
    """Runs cases on one kernel, as evercan and as others."""

    def __init__(self, kernel: Kernel, others: Others) -> None:
        self._kernel = kernel
        self._others = others
        self._nsids: dict[int, int] = {}

    def run(self, case: Case) -> list[dict[str, Any]]:
        """Return, for each act, the errno of its failure or 0, and what is observed then."""
        observed = []
        for verb, *arguments in case:
            act = getattr(self, "do_" + verb.replace(" ", "_"))
            code = act(*arguments) or 0
            observed.append({"act": [verb, *arguments], "code": code, **self._observe()})
        return observed

    # --- steps -----------------------------------------------------------------------

    def _apply(self, step: Step) -> int:
        failures = self._kernel.apply([step])
        assert len(failures) <= 1
        return failures[0].code if failures else 0

    def do_create_bus(self, name: str) -> int:
        return self._apply(MakeBus(name))

    def do_create_bus_for_the_host(self, name: str) -> int:
        return self._apply(MakeBus(name, for_host=True))

    def do_create_pair(self, host_end: str, container_end: str) -> int:
        return self._apply(MakePair("", "", host_end, container_end))

    def do_bring_up(self, name: str) -> int:
        return self._apply(BringUp("", None, name))

    def do_clear_the_tag_of(self, name: str) -> int:
        return self._apply(ClearTag(self._index(name), name))

    def do_delete(self, name: str) -> int:
        return self._apply(DeleteLink(self._index(name), name))

    def do_set_the_mtu_of(self, name: str, mtu: int) -> int:
        return self._apply(SetMtu("", None, self._index(name), name, mtu))

    def do_add_rules(self, *rules: Sequence[Any]) -> int:
        return self._apply(AddRules("", RuleList(map(self._rule, rules))))

    def do_remove_rules(self, *rules: Sequence[Any]) -> int:
        return self._apply(RemoveRules("", RuleList(map(self._rule, rules))))

    def do_create_filter_interface(self, name: str) -> int:
        return self._apply(MakeFilterInterface("", "", name))

    def do_let_send(self, host_end: str, target: str, access: dict[str, Any]) -> int:
        filters = send_filters(Access(**access), self._index(target))
        return self._apply(SetFilters("", "", self._index(host_end), host_end, True, filters))

    def do_let_receive(self, name: str, target: str, access: dict[str, Any]) -> int:
        filters = receive_filters(Access(**access), self._index(target))
        return self._apply(SetFilters("", "", self._index(name), name, False, filters))

    def do_set_faults(
        self,
        name: str,
        marker: str | None,
        bands: Sequence[Sequence[Any]],
        matches: Sequence[Sequence[Any]],
    ) -> int:
        queue = FaultQueue(
            tuple((slot, None if netem is None else Netem(**netem)) for slot, netem in bands),
            tuple(FaultMatch(*match) for match in matches),
        )
        return self._apply(self._set_faults(name, marker, queue))

    def do_remove_faults(self, name: str, marker: str | None) -> int:
        return self._apply(self._set_faults(name, marker, None))

    def _set_faults(self, name: str, marker: str | None, queue: FaultQueue | None) -> SetFaults:
        index = self._index(name)
        former = self._kernel.observe().fault_queues.get(index)
        marks = 0 if marker is None else self._index(marker)
        return SetFaults("", None, index, name, marks, queue, former)

    def do_make_a_wire_of(self, bus: str, bitrate: int, dbitrate: int = 0) -> int:
        links = self._kernel.observe().links
        names = wire_names(bus)
        former = tuple(links[name].index for name in names if name in links)
        return self._apply(MakeWire("", *names, Wire(bitrate, dbitrate), former))

    def do_lead_into_the_wire_of(self, bus: str, name: str, local: bool) -> int:
        wire, meter = map(self._index, wire_names(bus))
        entry = WireEntry(wire, meter, local)
        return self._apply(SetWireEntry("", None, self._index(name), name, entry))

    def do_lead_past_the_wire(self, name: str) -> int:
        return self._apply(SetWireEntry("", None, self._index(name), name, None))

    def do_delete_the_wire_of(self, bus: str) -> int:
        codes = [self._apply(DeleteLink(self._index(name), name)) for name in wire_names(bus)]
        return max(codes)

    def do_somebody_removes_the_queue_of_the_wire_of(self, bus: str) -> None:
        self._others.remove_queue(wire_names(bus)[0])

    def do_repair(
        self, host_end: str, sandbox: int, inside: str, altname: str | None = None
    ) -> int:
        where = Location(self._nsids[sandbox], inside)
        return self._apply(RepairPair("", "", host_end, f"{host_end}p", where, altname))

    def do_name(self, name: str, altname: str) -> int:
        return self._apply(NameEnd("", "", self._index(name), altname))

    def do_configure(self, name: str, settings: dict[str, Any]) -> int:
        link = self._kernel.observe().links.get(name)
        controller = None if link is None else link.controller
        former = NO_SETTINGS if controller is None else controller.settings()
        up = link is not None and link.up
        wanted = ControllerSettings(**settings)
        return self._apply(ConfigureBus("", self._index(name), name, wanted, former, up))

    def do_configure_the_queue_of(self, name: str, length: int) -> int:
        wanted = ControllerSettings(txqueuelen=length)
        return self._apply(ConfigureBus("", self._index(name), name, wanted, NO_SETTINGS, False))

    # --- others ------------------------------------------------------------------------

    def do_somebody_creates(self, name: str) -> None:
        self._others.make(name)

    def do_somebody_deletes(self, name: str) -> None:
        self._others.delete(name)

    def do_somebody_sets_down(self, name: str) -> None:
        self._others.set_down(name)

    def do_somebody_sets_the_mtu_of(self, name: str, mtu: int) -> None:
        self._others.set_mtu(name, mtu)

    def do_somebody_plugs(self, name: str) -> None:
        self._others.plug(name)

    def do_somebody_unplugs(self, name: str) -> None:
        self._others.unplug(name)

    def do_somebody_configures(self, name: str, settings: dict[str, Any]) -> int:
        return self._others.configure(name, ControllerSettings(**settings))

    def do_somebody_flushes(self) -> None:
        self._others.flush_rules()

    def do_somebody_flushes_the_filters_of(self, name: str) -> None:
        self._others.flush_filters(name)

    def do_somebody_sets_a_queue_on(self, name: str) -> None:
        self._others.set_queue(name)

    def do_somebody_removes_the_queue_of(self, name: str) -> None:
        self._others.remove_queue(name)

    def do_engine_moves_in(self, name: str, sandbox: int, inside: str) -> None:
        host_end = next(
            link.name
            for link in self._kernel.observe().links.values()
            if link.peer_index == self._index(name)
        )
        self._others.take(name, sandbox, inside)
        nsid = self._kernel.observe().links[host_end].peer_nsid
        assert nsid is not None
        # Its number may have been that of an earlier case's sandbox, whose end was announced.
        self._kernel.ended_namespaces()
        self._nsids[sandbox] = nsid

    def do_engine_moves_out(self, sandbox: int, inside: str, name: str) -> None:
        self._others.give_back(sandbox, inside, name)

    # --- observation -------------------------------------------------------------------

    def _index(self, name: str) -> int:
        link = self._kernel.observe().links.get(name)
        return NOBODY if link is None else link.index

    def _rule(self, words: Sequence[Any]) -> Rule:
        source, target, flags, hops = words
        return Rule(self._index(source), self._index(target), flags, hops)

    def _observe(self) -> dict[str, Any]:
        observed = self._kernel.observe()
        can = {link.index: link for link in observed.links.values() if link.is_can}
        names = {link.index: link.name for link in observed.links.values()}
        return {
            "links": {link.name: self._describe(link, can) for link in can.values()},
            "rules": sorted(
                [can[rule.source].name, can[rule.target].name, rule.flags, rule.hops, times]
                for rule, times in observed.rules.items()
            ),
            "filters": {
                link.name: [
                    [
                        wanted.matches.hex(),
                        wanted.denied.hex(),
                        can[wanted.target].name if wanted.target > 0 else wanted.target,
                        wanted.rate,
                        wanted.burst,
                    ]
                    for wanted in observed.filters[link.index]
                ]
                for link in can.values()
                if link.index in observed.filters
            },
            "wires": {
                link.name: observed.wires[link.index]
                for link in observed.links.values()
                if link.index in observed.wires
            },
            "led into wires": {
                link.name: [
                    *(names.get(index, index) for index in (entry.wire, entry.meter)),
                    entry.local,
                ]
                for link in can.values()
                if (entry := observed.wire_entries.get(link.index)) is not None
            },
            "faults": {
                link.name: [
                    observed.fault_queues[link.index].bands,
                    observed.fault_queues[link.index].matches,
                ]
                for link in can.values()
                if link.index in observed.fault_queues
            },
            "inside": {
                str(sandbox): self._others.inside(sandbox) for sandbox in sorted(self._nsids)
            },
            "altnames": {
                **{link.name: sorted(link.altnames) for link in can.values() if link.altnames},
                **{str(sandbox): self._others.altnames(sandbox) for sandbox in sorted(self._nsids)},
            },
        }

    def _describe(self, link: Link, can: dict[int, Link]) -> dict[str, Any]:
        peer: str | None = None
        if link.peer_nsid is not None:
            # JSON has text keys only.
            number = next(key for key, nsid in self._nsids.items() if nsid == link.peer_nsid)
            peer = f"{self._kernel.name_inside(link)} in {number}"
        elif link.peer_index is not None:
            peer = can[link.peer_index].name
        return {
            "kind": link.kind,
            "up": link.up,
            "running": link.running,
            "tag": _TAGS.get(link.group),
            # The default of an interface that somebody else creates depends on the kernel.
            "mtu": link.mtu if link.is_ours else None,
            "peer": peer,
            "controller": None if link.controller is None else _described(link.controller),
        }


def _described(controller: Controller) -> dict[str, Any]:
    """Return a controller without its counters and without what only some kernels report."""
    timing, limits = controller.timing, controller.limits
    return {
        "state": controller.state,
        "timing": [timing.bitrate, timing.sample_point, timing.dbitrate, timing.dsample_point],
        "modes": controller.modes,
        "supported": (controller.supported or 0) & 0x3F,
        "restart_ms": controller.restart_ms,
        "txqueuelen": controller.txqueuelen,
        "mtu": controller.mtu,
        "clock": controller.clock,
        "limits": None if limits is None else list(limits),
        "errors": [controller.tx_errors, controller.rx_errors],
    }


_CARDS = Path("/sys/bus/pci/drivers/kvaser_pci")
_HOST = ("nsenter", "--net", "--target", "1")


def first_card() -> str | None:
    """Return the PCI address of the first controller, or None if there is none."""
    return min((card.name for card in _CARDS.glob("0000:*")), default=None)


class RealOthers:
    """People and the engine in a network namespace of its own, with programs of the host."""

    def __init__(self) -> None:
        self._sandboxes: dict[int, subprocess.Popen[bytes]] = {}
        self._card = first_card()

    @staticmethod
    def _run(*argv: str) -> bytes:
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout

    def make(self, name: str) -> None:
        self._run("ip", "link", "add", name, "type", "vcan")

    def delete(self, name: str) -> None:
        self._run("ip", "link", "del", name)

    def set_down(self, name: str) -> None:
        self._run("ip", "link", "set", name, "down")

    def set_mtu(self, name: str, mtu: int) -> None:
        self._run("ip", "link", "set", name, "down")
        self._run("ip", "link", "set", name, "mtu", str(mtu))
        self._run("ip", "link", "set", name, "up")

    def flush_rules(self) -> None:
        self._run("cangw", "-F")

    def flush_filters(self, name: str) -> None:
        self._run("tc", "qdisc", "del", "dev", name, "clsact")

    def set_queue(self, name: str) -> None:
        self._run("tc", "qdisc", "replace", "dev", name, "root", "handle", "1:", "prio")

    def remove_queue(self, name: str) -> None:
        self._run("tc", "qdisc", "del", "dev", name, "root")

    def _pid(self, sandbox: int) -> str:
        if sandbox not in self._sandboxes:
            process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
            self._sandboxes[sandbox] = process
            mine = Path("/proc/self/ns/net").readlink()
            while Path(f"/proc/{process.pid}/ns/net").readlink() == mine:
                time.sleep(0.01)
        return str(self._sandboxes[sandbox].pid)

    def _in(self, sandbox: int, *argv: str) -> bytes:
        return self._run("nsenter", "--net", "--target", self._pid(sandbox), *argv)

    def take(self, name: str, sandbox: int, inside: str) -> None:
        self._run("ip", "link", "set", name, "netns", self._pid(sandbox))
        self._in(sandbox, "ip", "link", "set", name, "name", inside)
        self._in(sandbox, "ip", "link", "set", inside, "up")

    def give_back(self, sandbox: int, inside: str, name: str) -> None:
        self._in(sandbox, "ip", "link", "set", inside, "down")
        self._in(sandbox, "ip", "link", "set", inside, "name", name)
        # 1 would be the host's own namespace: this process is in another.
        target = str(Path("/proc/self").readlink())
        self._in(sandbox, "ip", "link", "set", name, "netns", target)

    def inside(self, sandbox: int) -> dict[str, bool]:
        shown = json.loads(self._in(sandbox, "ip", "-json", "link", "show"))
        return {
            link["ifname"]: "UP" in link["flags"] for link in shown if link["link_type"] == "can"
        }

    def altnames(self, sandbox: int) -> dict[str, list[str]]:
        shown = json.loads(self._in(sandbox, "ip", "-json", "link", "show"))
        return {link["ifname"]: sorted(link["altnames"]) for link in shown if link.get("altnames")}

    def plug(self, name: str) -> None:
        """Let the driver probe the first controller again, which resets its settings."""
        assert self._card is not None
        if (_CARDS / self._card).exists():
            (_CARDS / "unbind").write_text(self._card)
        (_CARDS / "bind").write_text(self._card)
        # It appears in the host's namespace, under the host's next name.
        (there,) = Path(f"/sys/bus/pci/devices/{self._card}/net").iterdir()
        mine = str(Path("/proc/self").readlink())
        self._run(*_HOST, "ip", "link", "set", there.name, "netns", mine)
        if there.name != name:
            self._run("ip", "link", "set", there.name, "name", name)

    def unplug(self, name: str) -> None:
        assert self._card is not None
        assert Path(f"/sys/bus/pci/devices/{self._card}/net").exists(), name
        (_CARDS / "unbind").write_text(self._card)

    def configure(self, name: str, settings: ControllerSettings) -> int:
        return subprocess.run(
            ["sh", "-c", settings.command(name).partition("; ")[2]], check=False
        ).returncode

    def clear(self) -> None:
        """End the sandboxes, and remove what the case left."""
        if self._card is not None:
            # Once bound again it belongs to the host.
            if (_CARDS / self._card).exists():
                (_CARDS / "unbind").write_text(self._card)
            (_CARDS / "bind").write_text(self._card)
        for process in self._sandboxes.values():
            process.kill()
            process.wait()
        self._sandboxes.clear()
        for link in json.loads(self._run("ip", "-json", "link", "show")):
            if link["link_type"] == "can":
                # A pair is deleted with its other end, or with the sandbox that ends meanwhile.
                subprocess.run(["ip", "link", "del", link["ifname"]], check=False)


def main() -> None:
    """Run every case of the JSON object on standard input; print what was observed."""
    from evercan.kernel.rtnetlink import RtnetlinkKernel  # noqa: PLC0415 - not for the fake

    observed = {}
    for name, case in json.load(sys.stdin).items():
        if first_card() is None and any(verb == "somebody plugs" for verb, *_ in case):
            continue
        kernel, others = RtnetlinkKernel(), RealOthers()
        try:
            observed[name] = Runner(kernel, others).run(case)
        finally:
            others.clear()
            kernel.close()
    json.dump(observed, sys.stdout)


if __name__ == "__main__":
    main()
