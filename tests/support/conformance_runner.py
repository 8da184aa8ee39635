"""Plays steps on a kernel and writes down what is seen after each.

The same play is performed on the fake and on a real kernel. This file needs the
standard library, evercan's ``kernel`` and what that imports, so that it runs on
a testbed's host: ``unshare --net python3 stage.py < play.json``.

A play is a list of acts, each ``[verb, argument, …]``. The verbs are the methods
of ``Stage`` without their ``do_``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from evercan.controller import NO_SETTINGS, Controller, ControllerSettings
from evercan.kernel.port import Kernel
from evercan.model import LINK_GROUP, Link, Rule, Sandbox
from evercan.steps import (
    AddRules,
    ConfigureBus,
    DeleteLink,
    DropRules,
    MakeBus,
    MakePair,
    MendPair,
    NameEnd,
    SetUp,
    Step,
)

Act = Sequence[Any]
Play = Sequence[Act]

NOBODY = 999_999
"""An ifindex that no interface has."""


class World(Protocol):
    """Everybody but evercan: people, and the engine."""

    def make(self, name: str) -> None:
        """Make a vcan, untagged and down."""

    def delete(self, name: str) -> None:
        """Delete an interface."""

    def set_down(self, name: str) -> None:
        """Set an interface down."""

    def flush_rules(self) -> None:
        """Remove every rule."""

    def take(self, name: str, sandbox: int, inside: str) -> None:
        """Move an interface into a sandbox, rename it there and set it up."""

    def give_back(self, sandbox: int, inside: str, name: str) -> None:
        """Set an interface of a sandbox down, rename it and move it back."""

    def inside(self, sandbox: int) -> dict[str, bool]:
        """Name the CAN interfaces of a sandbox, and whether they are up."""

    def altnames(self, sandbox: int) -> dict[str, list[str]]:
        """List the altnames of a sandbox's CAN interfaces that have any."""

    def plug(self, name: str) -> None:
        """Plug a controller in, under this name."""

    def unplug(self, name: str) -> None:
        """Unplug it."""

    def configure(self, name: str, settings: ControllerSettings) -> int:
        """Set a controller and set it up, as ``ip`` does; return 0 if it can be done."""


class Stage:
    """One kernel and the world around it."""

    def __init__(self, kernel: Kernel, world: World) -> None:
        self._kernel = kernel
        self._world = world
        self._nsids: dict[int, int] = {}

    def perform(self, play: Play) -> list[dict[str, Any]]:
        """Return, for each act, the errno of its failure or 0, and what is seen then."""
        seen = []
        for verb, *arguments in play:
            act = getattr(self, "do_" + verb.replace(" ", "_"))
            code = act(*arguments) or 0
            seen.append({"act": [verb, *arguments], "code": code, **self._look()})
        return seen

    # --- steps -----------------------------------------------------------------------

    def _take(self, step: Step) -> int:
        failures = self._kernel.apply([step])
        assert len(failures) <= 1
        return failures[0].code if failures else 0

    def do_make_bus(self, name: str) -> int:
        return self._take(MakeBus(name))

    def do_make_pair(self, host_end: str, container_end: str) -> int:
        return self._take(MakePair("", "", host_end, container_end))

    def do_set_up(self, name: str) -> int:
        return self._take(SetUp("", None, name))

    def do_delete(self, name: str) -> int:
        return self._take(DeleteLink(self._index(name), name))

    def do_lay(self, *rules: Sequence[Any]) -> int:
        return self._take(AddRules("", tuple(map(self._rule, rules))))

    def do_drop(self, *rules: Sequence[Any]) -> int:
        return self._take(DropRules("", tuple(map(self._rule, rules))))

    def do_mend(self, host_end: str, sandbox: int, inside: str, altname: str | None = None) -> int:
        where = Sandbox(self._nsids[sandbox], inside)
        return self._take(MendPair("", "", host_end, f"{host_end}p", where, altname))

    def do_name(self, name: str, altname: str) -> int:
        return self._take(NameEnd("", "", self._index(name), altname))

    def do_configure(self, name: str, settings: dict[str, Any]) -> int:
        link = self._kernel.observe().links.get(name)
        controller = None if link is None else link.controller
        former = NO_SETTINGS if controller is None else controller.settings()
        up = link is not None and link.up
        wanted = ControllerSettings(**settings)
        return self._take(ConfigureBus("", self._index(name), name, wanted, former, up))

    def do_configure_the_queue_of(self, name: str, length: int) -> int:
        wanted = ControllerSettings(txqueuelen=length)
        return self._take(ConfigureBus("", self._index(name), name, wanted, NO_SETTINGS, False))

    # --- the world ---------------------------------------------------------------------

    def do_somebody_makes(self, name: str) -> None:
        self._world.make(name)

    def do_somebody_deletes(self, name: str) -> None:
        self._world.delete(name)

    def do_somebody_sets_down(self, name: str) -> None:
        self._world.set_down(name)

    def do_somebody_plugs(self, name: str) -> None:
        self._world.plug(name)

    def do_somebody_unplugs(self, name: str) -> None:
        self._world.unplug(name)

    def do_somebody_configures(self, name: str, settings: dict[str, Any]) -> int:
        return self._world.configure(name, ControllerSettings(**settings))

    def do_somebody_flushes(self) -> None:
        self._world.flush_rules()

    def do_engine_takes(self, name: str, sandbox: int, inside: str) -> None:
        host_end = next(
            link.name
            for link in self._kernel.observe().links.values()
            if link.peer_index == self._index(name)
        )
        self._world.take(name, sandbox, inside)
        nsid = self._kernel.observe().links[host_end].peer_nsid
        assert nsid is not None
        # Its number may have been that of an earlier play's sandbox, whose end was announced.
        self._kernel.ended_namespaces()
        self._nsids[sandbox] = nsid

    def do_engine_gives_back(self, sandbox: int, inside: str, name: str) -> None:
        self._world.give_back(sandbox, inside, name)

    # --- what is seen ------------------------------------------------------------------

    def _index(self, name: str) -> int:
        link = self._kernel.observe().links.get(name)
        return NOBODY if link is None else link.index

    def _rule(self, words: Sequence[Any]) -> Rule:
        source, target, flags, hops = words
        return Rule(self._index(source), self._index(target), flags, hops)

    def _look(self) -> dict[str, Any]:
        observed = self._kernel.observe()
        can = {link.index: link for link in observed.links.values() if link.is_can}
        return {
            "links": {link.name: self._describe(link, can) for link in can.values()},
            "rules": sorted(
                [can[rule.source].name, can[rule.target].name, rule.flags, rule.hops, times]
                for rule, times in observed.rules.items()
            ),
            "inside": {str(each): self._world.inside(each) for each in sorted(self._nsids)},
            "altnames": {
                **{link.name: sorted(link.altnames) for link in can.values() if link.altnames},
                **{str(each): self._world.altnames(each) for each in sorted(self._nsids)},
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
            "tagged": link.group == LINK_GROUP,
            "peer": peer,
            "controller": None if link.controller is None else _tell(link.controller),
        }


def _tell(controller: Controller) -> dict[str, Any]:
    """Describe all of a controller but what happens to it, and what only some kernels tell."""
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
    """Return the PCI address of the first controller that plays may use, None without any."""
    return min((each.name for each in _CARDS.glob("0000:*")), default=None)


class RealWorld:
    """A network namespace of its own, with programs of the host."""

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

    def flush_rules(self) -> None:
        self._run("cangw", "-F")

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
            each["ifname"]: "UP" in each["flags"] for each in shown if each["link_type"] == "can"
        }

    def altnames(self, sandbox: int) -> dict[str, list[str]]:
        shown = json.loads(self._in(sandbox, "ip", "-json", "link", "show"))
        return {each["ifname"]: sorted(each["altnames"]) for each in shown if each.get("altnames")}

    def plug(self, name: str) -> None:
        """Let the driver probe the first controller anew, which makes it forget all."""
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
        """End the sandboxes, and remove what the play left."""
        if self._card is not None:
            # Bound again it is the host's.
            if (_CARDS / self._card).exists():
                (_CARDS / "unbind").write_text(self._card)
            (_CARDS / "bind").write_text(self._card)
        for process in self._sandboxes.values():
            process.kill()
            process.wait()
        self._sandboxes.clear()
        for each in json.loads(self._run("ip", "-json", "link", "show")):
            if each["link_type"] == "can":
                # A pair goes with its other end, or with the sandbox that ends meanwhile.
                subprocess.run(["ip", "link", "del", each["ifname"]], check=False)


def main() -> None:
    """Perform every play of the JSON object on standard input; print what was seen."""
    from evercan.kernel.rtnetlink import RtnetlinkKernel  # noqa: PLC0415 - not for the fake

    seen = {}
    for name, play in json.load(sys.stdin).items():
        if first_card() is None and any(verb == "somebody plugs" for verb, *_ in play):
            continue
        kernel, world = RtnetlinkKernel(), RealWorld()
        try:
            seen[name] = Stage(kernel, world).perform(play)
        finally:
            world.clear()
            kernel.close()
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
