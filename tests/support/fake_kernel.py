"""A kernel that keeps state and rejects what the real one rejects.

``tests/e2e/test_conformance.py`` takes the same steps on this and on the real kernel and
compares. The methods in the second half are what others do: the engine that moves
interfaces, people who break things, a reboot.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

from evercan.kernel.port import Checkpoint, go_on
from evercan.model.access import Filter, Filters
from evercan.model.controller import NO_SETTINGS, Controller, ControllerSettings
from evercan.model.controller_match import restoring
from evercan.model.names import MAX_NAME
from evercan.model.observed import (
    FD_MTU,
    FILTER_GROUP,
    HOST_GROUP,
    LINK_GROUP,
    WIRE_GROUP,
    Filtered,
    Link,
    Observed,
    Receivers,
    filtered_interfaces,
)
from evercan.model.rule import Rule
from evercan.model.rule_table import RuleTable
from evercan.model.steps import (
    AddRules,
    BringDown,
    BringUp,
    ClearTag,
    ConfigureBus,
    DeleteLink,
    Failure,
    MakeBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    NameEnd,
    RemoveRules,
    RepairPair,
    RestartBus,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)
from evercan.model.wire import WireEntry
from evercan.values import replace
from tests.support import fake_controllers
from tests.support.fake_controllers import SJA1000
from tests.support.fake_queues import QUEUE_MODULES, FakeQueues
from tests.support.fake_wires import WIRE_MODULES, FakeWires

FILTER_MODULES = ("sch_ingress", "cls_basic", "em_canid", "act_mirred", "act_police", "act_gact")

HOST = None
"""The network namespace of the host; that of a container is its nsid."""

Message = Callable[[], int]
"""One request of a batch: carries it out and returns an errno or 0."""


class FakeKernel:
    """Implements ``evercan.kernel.port.Kernel`` in memory.

    Attributes:
        modules: loaded kernel modules; remove one to see what happens without it.
        default_mtu: the MTU of a vcan or vxcan for which none is given; 2060 from kernel 7 on.
        calls: how many times ``observe`` and ``apply`` were called.
        taken: every step that was taken, in order.
        sockets: filters of CAN sockets that programs of the host have open.
        queues: the queues of interfaces.
        wires: the wires of virtual buses.
        shows_receivers: ``/proc/net/can/stats`` is there.
        configured: ifindexes of controllers that evercan has configured.
        checkpoint: as of the port; an observation of this kernel takes no time and never calls it.
        on_message: called before and after every single request; may raise, and then the
            rest of the batch is never received.
    """

    def __init__(self, *, boot: str = "boot-1") -> None:
        self.modules = {"vcan", "vxcan", "can-gw", *FILTER_MODULES, *QUEUE_MODULES}
        self.modules.update(WIRE_MODULES)
        self.default_mtu = FD_MTU
        self.calls = Counter[str]()
        self.taken: list[Step] = []
        self.sockets = 0
        self.shows_receivers = True
        self.on_message: Callable[[], None] = lambda: None
        self.checkpoint: Checkpoint = go_on
        self._boot = boot
        self._index = count(2)
        self._links: dict[int, Link] = {}
        self._where: dict[int, int | None] = {}
        self._rules: Counter[Rule] = Counter()
        self._filters: dict[int, Filters] = {}
        self.queues = FakeQueues(self._links, self.modules)
        self.wires = FakeWires(self._links, self.modules)
        self._words = ""
        self._namespaces: set[int] = set()
        self.configured: set[int] = set()
        self._ended: set[int] = set()
        self._ending: set[int] = set()

    # --- the port ---------------------------------------------------------

    def boot_id(self) -> str:
        return self._boot

    def observe(self) -> Observed:
        self.calls["observe"] += 1
        entries = self.receive_list_entries()
        links = {link.name: link for link in self._host_links()}
        wires = self.wires.observe(links)
        return Observed(
            links=links,
            wires=wires,
            wire_entries=self.wires.entries(links.values()) if wires else {},
            filters=self._seen_filters(filtered_interfaces(links)),
            fault_queues=self.queues.observe(links),
            rules=RuleTable.of(self._rules),
            can_gw="can-gw" in self.modules,
            receivers=None if entries is None else Receivers(entries, self._rules.total()),
        )

    def observe_with_counts(self) -> Observed:
        return self.observe()  # nothing sends frames here

    def links_named(self, names: Iterable[str]) -> list[Link]:
        self.calls["links_named"] += 1
        wanted = set(names)
        return [link for link in self._host_links() if link.name in wanted]

    def filters(self, interfaces: Iterable[Filtered]) -> dict[int, Filters]:
        self.calls["filters"] += 1
        return self._seen_filters(interfaces)

    def wire_entries(self, found: Iterable[Link]) -> dict[int, WireEntry]:
        self.calls["wire_entries"] += 1
        return self.wires.entries(found)

    def _seen_filters(self, interfaces: Iterable[Filtered]) -> dict[int, Filters]:
        """Return what a dump shows: an action whose interface is gone has no target."""
        return {
            interface.ifindex: tuple(
                wanted
                if not wanted.target or wanted.target in self._links
                else wanted._replace(target=-1)
                for wanted in self._filters.get(interface.ifindex, ())
            )
            for interface in interfaces
        }

    def receive_list_entries(self) -> int | None:
        return self.sockets + self._rules.total() if self.shows_receivers else None

    def controller(self, index: int) -> Controller | None:
        link = self._links.get(index)
        return None if link is None else link.controller

    def ended_namespaces(self) -> frozenset[int] | None:
        ended, self._ended = frozenset(self._ended), set()
        return ended

    def name_inside(self, link: Link) -> str | None:
        assert link.known_nsid is not None, "a request must not refer to an ending namespace"
        inside = self._links.get(link.peer_index or 0)
        return None if inside is None else inside.name

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        self.calls["apply"] += 1
        failures = []
        for step in steps:
            self.taken.append(step)
            code = self._take(step)
            if code:
                failures.append(Failure(step, code, self._words))
                self._words = ""
        return failures

    def close(self) -> None:
        self.calls["close"] += 1

    # --- what the kernel does ------------------------------------------------

    def _take(self, step: Step) -> int:
        if isinstance(step, RepairPair):
            return self._repair(step)
        if isinstance(step, ConfigureBus):
            return self._configure(step)
        if isinstance(step, SetFilters):
            return self._set_filters(step)
        if isinstance(step, SetFaults):
            return self._set_faults(step)
        if isinstance(step, MakeWire):
            return self._make_wire(step)
        if isinstance(step, SetWireEntry):
            return self._set_wire_entry(step)
        return self._first_error(self._batch(self._messages(step)))

    def _messages(self, step: Step) -> Iterator[Message]:
        """Yield the requests that ``kernel.rtnetlink`` makes of a step."""
        match step:
            case AddRules(_, rules):
                yield from (partial(self._add_rule, rule) for rule in rules)
            case RemoveRules(_, rules):
                yield from (partial(self._remove_rule, rule) for rule in rules)
            case MakeFilterInterface(_, _, name):
                yield partial(self.make, name, "vcan", group=FILTER_GROUP, up=True, mtu=FD_MTU)
            case _:
                yield from self._link_messages(step)

    def _link_messages(self, step: Step) -> Iterator[Message]:
        match step:
            case MakeBus(name, for_host):
                group = HOST_GROUP if for_host else LINK_GROUP
                yield partial(self.make, name, "vcan", group=group, up=True, mtu=FD_MTU)
            case MakePair(_, _, host_end, container_end):
                yield partial(self._make_pair, host_end, container_end, up=True)
            case NameEnd(_, _, index, altname):
                yield partial(self.add_altname, index, altname)
            case BringUp(_, _, name):
                yield partial(self.set_flag, name, up=True)
            case BringDown(_, _, index, _):
                yield partial(self._set_flag_on_host, index, up=False)
            case SetMtu(_, _, index, _, mtu):
                yield partial(self._set_flag_on_host, index, up=False)
                yield partial(self._set_mtu, index, mtu)
            case RestartBus(_, index, _):
                yield partial(self._set_flag_on_host, index, up=False)
                yield partial(self._set_controller, index, NO_SETTINGS, True)
            case ClearTag(index, _):
                yield partial(self._clear_group, index)
            case DeleteLink(index, _):
                yield partial(self._delete_on_host, index)
            case _:
                raise AssertionError(f"several batches are needed to {step}")

    def _batch(self, messages: Iterable[Message]) -> list[int]:
        """Carry out all of them, whatever fails, as netlink does."""
        codes = []
        for message in messages:
            self.on_message()
            codes.append(message())
            self.on_message()
        return codes

    @staticmethod
    def _first_error(codes: Iterable[int]) -> int:
        return next((code for code in codes if code), 0)

    def _host_links(self) -> Iterator[Link]:
        for index, link in sorted(self._links.items()):
            if self._where[index] is HOST:
                peer = link.peer_index
                nsid = None if peer is None else self._where[peer]
                nsid = -1 if nsid in self._ending else nsid
                running = link.up and (peer is None or self._links[peer].up)
                mtu = link.mtu if link.controller is None else link.controller.mtu
                qdisc = self.queues.shown(link)
                yield replace(link, peer_nsid=nsid, running=running, mtu=mtu, qdisc=qdisc)

    def _find(self, name: str, where: int | None = HOST) -> int | None:
        for index, link in self._links.items():
            if self._where[index] == where and (link.name == name or name in link.altnames):
                return index
        return None

    def _error_of_name(self, name: str, where: int | None = HOST) -> int:
        if not name or len(name.encode(errors="surrogateescape")) > MAX_NAME:
            return errno.ERANGE if name else errno.EINVAL
        if name in (".", "..") or any(
            character in "/:" or character.isspace() for character in name
        ):
            return errno.EINVAL
        taken = {self._find(name), self._find(name, where)} - {None}
        return errno.EEXIST if taken else 0

    def _make_pair(
        self, first: str, second: str, *, first_in: int | None = HOST, up: bool = False
    ) -> int:
        if "vxcan" not in self.modules:
            return errno.EOPNOTSUPP
        code = self._error_of_name(first, first_in) or self._error_of_name(second)
        if code or first == second:
            return code or errno.EEXIST
        # vxcan_newlink registers the peer, which is the second, first.
        other, one = next(self._index), next(self._index)
        for index, name, peer, where in (
            (other, second, one, HOST),
            (one, first, other, first_in),
        ):
            self._links[index] = Link(
                index=index,
                name=name,
                kind="vxcan",
                group=LINK_GROUP,
                peer_index=peer,
                up=up and index == one,
            )
            self._where[index] = where
        return 0

    def _repair(self, step: RepairPair) -> int:
        """Do as ``RtnetlinkKernel`` does, request by request."""
        nsid = step.location.nsid
        if nsid in self._ended:
            return errno.ESTALE
        assert nsid in self._namespaces, f"there is no namespace {nsid} to repair a pair in"
        clashing, placeholder = f"{step.host_end}q", f"{step.host_end}r"
        codes = self._batch(
            [
                partial(self._make_pair, clashing, placeholder, first_in=nsid),
                partial(self._make_pair, step.host_end, clashing),
            ]
        )
        error = self._first_error(codes)
        created = [] if codes[0] else [placeholder]
        host_end = self._find(step.host_end)
        if not error and host_end is not None:
            end = self._links[host_end].peer_index or 0
            names = [] if step.altname is None else [step.altname]
            codes = self._batch(
                [
                    *(partial(self.add_altname, end, name) for name in names),
                    partial(self._move_inside, end, *step.location),
                    partial(self.set_flag, step.host_end, up=True),
                ]
            )
            error = self._first_error(codes)
        leftovers = list(map(self._find, created))
        if error and not codes[-1]:
            leftovers.append(host_end)
        self._batch(
            partial(self._delete_on_host, index) for index in leftovers if index is not None
        )
        return error

    def _set_filters(self, step: SetFilters) -> int:
        """Do as ``kernel.classifiers`` does, request by request."""
        self._batch([partial(self._remove_filters, step.index)])
        codes = self._batch(
            [
                partial(self._make_qdisc, step.index),
                *(partial(self._add_filter, step.index, wanted) for wanted in step.filters),
            ]
        )
        error = self._first_error(codes)
        return errno.EOPNOTSUPP if error == errno.ENOENT else error

    def _set_faults(self, step: SetFaults) -> int:
        """Do as ``kernel.fault_queues`` does, request by request."""
        host = {link.name: link for link in self._host_links()}
        self.queues.words = ""
        for must_succeed, batch in self.queues.batches(step, host, step.marker in self._filters):
            error = self._first_error(self._batch(batch))
            if error and must_succeed:
                # A request about an interface or a queue that is gone has the same error.
                missing = error == errno.ENOENT and step.queue is not None
                self._words = self.queues.words
                return errno.EOPNOTSUPP if missing else error
        return 0

    def _make_wire(self, step: MakeWire) -> int:
        """Do as ``kernel.wires`` does, request by request."""
        self._batch([partial(self._delete_on_host, index) for index in step.former])
        names = (step.name, step.meter)
        codes = self._batch(
            [
                partial(self.make, name, "ifb", group=WIRE_GROUP, up=True, is_can=False, mtu=100)
                for name in names
            ]
        )
        made = [name for name, code in zip(names, codes, strict=True) if not code]
        error = self._first_error(codes)
        self._words = "ifb" if error == errno.EOPNOTSUPP else ""
        index = self._find(step.name)
        if not error and index is not None:
            error = self._first_error(self._batch(self.wires.fill(step, index)))
            if error == errno.ENOENT:
                error, self._words = errno.EOPNOTSUPP, self.wires.missing
        if error:
            left = [index for name in made if (index := self._find(name)) is not None]
            self._batch([partial(self._delete_on_host, index) for index in left])
        return error

    def _set_wire_entry(self, step: SetWireEntry) -> int:
        """Do as ``kernel.wires`` does, request by request."""
        self._batch([partial(self.wires.forget_entry, step.index)])
        if step.entry is None:
            return 0
        error = self._first_error(self._batch([partial(self.wires.add_entry, step)]))
        if error == errno.ENOENT:
            error, self._words = errno.EOPNOTSUPP, self.wires.missing
        return error

    def _remove_filters(self, index: int) -> int:
        self.wires.forget_entry(index)
        self.queues.forget_marks(index)
        return 0 if self._filters.pop(index, None) is not None else errno.ENOENT

    def _make_qdisc(self, index: int) -> int:
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        if "sch_ingress" not in self.modules:
            self._words = "sch_ingress"
            return errno.ENOENT
        self._filters[index] = ()
        return 0

    def _add_filter(self, index: int, wanted: Filter) -> int:
        if index not in self._filters:
            return errno.EINVAL if index in self._links else errno.ENODEV
        needed = {"cls_basic", "act_mirred" if wanted.target else "act_gact"}
        needed |= {"em_canid"} if wanted.matches or wanted.denied else set()
        needed |= {"act_police"} if wanted.rate else set()
        if not needed <= self.modules:
            self._words = self._words or min(needed - self.modules)
            return errno.ENOENT
        if wanted.target and self._where.get(wanted.target, -1) is not HOST:
            return errno.ENODEV
        self._filters[index] += (wanted,)
        return 0

    def _configure(self, step: ConfigureBus) -> int:
        """Do as ``RtnetlinkKernel`` does, request by request."""
        if step.was_up:
            self._batch([partial(self._set_flag, step.index, up=False)])
        (code,) = self._batch([partial(self._set_controller, step.index, step.settings, True)])
        if code == errno.EOPNOTSUPP and step.settings.restart_ms:
            without = replace(step.settings, restart_ms=None)
            (code,) = self._batch([partial(self._set_controller, step.index, without, True)])
        if code:
            former = restoring(step.settings, step.former)
            self._batch([partial(self._set_controller, step.index, former, step.was_up)])
        else:
            self.configured.add(step.index)
        return code

    def _set_flag_on_host(self, index: int, *, up: bool) -> int:
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        return self._set_flag(index, up=up)

    def _set_mtu(self, index: int, mtu: int) -> int:
        """Set the MTU and bring the interface up, in one request, as ``do_setlink`` does."""
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        if self._links[index].up:
            return errno.EBUSY
        self._links[index] = replace(self._links[index], mtu=mtu)
        return self._set_flag(index, up=True)

    def _clear_group(self, index: int) -> int:
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        self._links[index] = replace(self._links[index], group=0)
        return 0

    def _set_controller(self, index: int, settings: ControllerSettings, up: bool) -> int:
        link = self._links.get(index)
        if link is None or self._where[index] is not HOST:
            return errno.ENODEV
        if link.controller is not None:
            controller, code = fake_controllers.change(link.controller, settings, up=link.up)
            self._links[index] = replace(link, controller=controller)
            if code:
                return code
        elif settings:
            return errno.EOPNOTSUPP
        if up and (code := self._set_flag(index, up=True)):
            return code
        if settings.txqueuelen is not None:
            self.alter(index, txqueuelen=settings.txqueuelen)
        return 0

    def add_altname(self, index: int, name: str) -> int:
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        if self._find(name) is not None:
            return errno.EEXIST
        link = self._links[index]
        self._links[index] = replace(link, altnames=link.altnames | {name})
        return 0

    def _move_inside(self, index: int, nsid: int, name: str) -> int:
        """Move an interface; it is renamed only if its own name is taken there."""
        link = self._links[index]
        if self._find(link.name, nsid) is not None:
            if self._find(name, nsid) is not None:
                return errno.EEXIST
            link = replace(link, name=name)
        self._links[index] = replace(link, up=True)
        self._where[index] = nsid
        return 0

    def _delete_on_host(self, index: int) -> int:
        if self._where.get(index, -1) is not HOST:
            return errno.ENODEV
        self._delete(index)
        return 0

    def _delete(self, index: int) -> None:
        doomed = {index}
        peer = self._links[index].peer_index
        if peer is not None:
            doomed.add(peer)
        for deleted in doomed:
            del self._links[deleted]
            del self._where[deleted]
            self._filters.pop(deleted, None)
            self.queues.forget(deleted)
            self.wires.forget(deleted)
        for rule in list(self._rules):
            if doomed & {rule.source, rule.target}:
                del self._rules[rule]

    def _add_rule(self, rule: Rule) -> int:
        if "can-gw" not in self.modules:
            return errno.EOPNOTSUPP
        for index in (rule.source, rule.target):
            if self._where.get(index, -1) is not HOST or not self._links[index].is_can:
                return errno.ENODEV
        if rule.hops > 1:
            return errno.EINVAL  # max_hops is 1 by default
        self._rules[rule] += 1
        return 0

    def _remove_rule(self, rule: Rule) -> int:
        assert rule.source > 0, "a removal without interfaces would flush the host's table"
        assert rule.target > 0, "a removal without interfaces would flush the host's table"
        if not self._rules[rule]:
            return errno.EINVAL
        self._rules[rule] -= 1
        self._rules += Counter()
        return 0

    # --- what others do ---------------------------------------------------

    def make(
        self,
        name: str,
        kind: str = "vcan",
        *,
        group: int = 0,
        up: bool = False,
        is_can: bool = True,
        mtu: int | None = None,
    ) -> int:
        """Create an interface on the host; return an errno or 0."""
        if kind in ("vcan", "vxcan", "ifb") and kind not in self.modules:
            return errno.EOPNOTSUPP
        if code := self._error_of_name(name):
            return code
        index = next(self._index)
        self._links[index] = Link(
            index=index,
            name=name,
            kind=kind,
            group=group,
            up=up,
            is_can=is_can,
            mtu=self.default_mtu if mtu is None else mtu,
        )
        self._where[index] = HOST
        return 0

    def make_foreign_pair(self, first: str, second: str) -> int:
        """Create a pair as ``ip link add FIRST type vxcan peer name SECOND`` does, both up."""
        code = self._make_pair(first, second, up=True)
        if not code:
            for name in (first, second):
                self.set_group(name, 0)
                self.set_flag(name, up=True)
        return code

    def set_flag(self, name: str, *, up: bool) -> int:
        """Set an interface of the host up or down; return an errno or 0."""
        if len(name.encode()) > MAX_NAME:
            return errno.ERANGE
        index = self._find(name)
        if index is None:
            return errno.ENODEV
        return self._set_flag(index, up=up)

    def _set_flag(self, index: int, *, up: bool) -> int:
        link = self._links.get(index)
        if link is None:
            return errno.ENODEV
        if link.controller is not None and up and not link.up:
            controller, code = fake_controllers.opened(link.controller)
            if code:
                return code
            link = replace(link, controller=controller)
        elif link.controller is not None and not up:
            link = replace(link, controller=fake_controllers.closed(link.controller))
        self._links[index] = replace(link, up=up)
        return 0

    def plug(self, name: str, controller: Controller = SJA1000) -> int:
        """Plug a controller in: it appears down and without a bitrate."""
        if code := self._error_of_name(name):
            return code
        index = next(self._index)
        self._links[index] = Link(index=index, name=name, kind="can", controller=controller)
        self._where[index] = HOST
        return 0

    def configure_controller(self, name: str, settings: ControllerSettings) -> int:
        """Configure a controller and bring it up, as ``ip link set NAME up type can`` does."""
        index = self._find(name)
        assert index is not None, f"there is no {name}"
        return self._set_controller(index, settings, True)

    def set_group(self, name: str, group: int) -> None:
        """Set an interface's group, as ``ip link set NAME group`` does."""
        index = self._find(name)
        assert index is not None, f"there is no {name}"
        self._links[index] = replace(self._links[index], group=group)

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set an interface's MTU, as ``ip link set NAME mtu`` does after setting it down."""
        index = self._find(name)
        assert index is not None, f"there is no {name}"
        self._links[index] = replace(self._links[index], mtu=mtu)

    def alter(self, index: int, **fields: Any) -> None:
        """Change what a controller shows."""
        link = self._links[index]
        assert link.controller is not None
        controller = replace(link.controller, **fields)
        self._links[index] = replace(link, controller=controller)

    def delete(self, name: str) -> None:
        """Delete an interface of the host, as ``ip link del`` does."""
        index = self._find(name)
        assert index is not None, f"there is no {name}"
        self._delete(index)

    def link(self, name: str) -> Link:
        """Return an interface of the host."""
        return self.observe().links[name]

    def add_rule(self, rule: Rule) -> None:
        """Add a rule, as ``cangw -A`` does."""
        assert self._add_rule(rule) == 0

    def flush_filters(self, name: str) -> None:
        """Remove the classifiers of an interface, as ``tc qdisc del dev NAME clsact`` does."""
        self._remove_filters(self.link(name).index)

    def flush_rules(self) -> None:
        """Remove every rule of the host, as ``cangw -F`` does."""
        self._rules.clear()

    def move_in(self, name: str, nsid: int, inside: str = "vcanp0") -> None:
        """Move an interface into a container, rename it and bring it up, as the engine does."""
        index = self._find(name)
        assert index is not None, f"the engine cannot find {name}"
        assert self._find(inside, nsid) is None, f"the container has an {inside}"
        names = self._links[index].altnames
        clash = [altname for altname in names if self._find(altname, nsid) is not None]
        assert not clash, f"the container has a {clash}"
        self._where[index] = nsid
        self._namespaces.add(nsid)
        self._links[index] = replace(self._links[index], name=inside, up=True)

    def move_out(self, nsid: int, inside: str, name: str) -> None:
        """Move an interface back to the host, down, as the engine does after Leave."""
        index = self._find(inside, nsid)
        assert index is not None, f"there is no {inside} in namespace {nsid}"
        if any(self._find(altname) is not None for altname in self._links[index].altnames):
            return  # the kernel rejects it (EEXIST); the engine logs that and goes on
        self._where[index] = HOST
        self._links[index] = replace(self._links[index], name=name, up=False)

    def set_flag_inside(self, nsid: int, inside: str, *, up: bool) -> None:
        """Set an interface in a container up or down, as a program in it does."""
        index = self._find(inside, nsid)
        assert index is not None, f"there is no {inside} in namespace {nsid}"
        self._set_flag(index, up=up)

    def begin_to_end_namespace(self, nsid: int) -> None:
        """Take a namespace's number from it, as ``cleanup_net`` does before it deletes links."""
        self._ending.add(nsid)

    def end_namespace(self, nsid: int) -> None:
        """End a namespace: the pairs whose ends are in it are deleted with it."""
        self._namespaces.discard(nsid)
        self._ending.discard(nsid)
        self._ended.add(nsid)
        for index in [index for index, where in self._where.items() if where == nsid]:
            if index in self._links:
                self._delete(index)

    def inside(self, nsid: int) -> dict[str, Link]:
        """Return the interfaces in a container, by name."""
        indexes = [index for index, where in self._where.items() if where == nsid]
        return {self._links[index].name: self._links[index] for index in indexes}

    def reboot(self, boot: str) -> None:
        """Lose everything but the modules, as in a power cut."""
        self._links.clear()
        self._where.clear()
        self._rules.clear()
        self._filters.clear()
        self.queues = FakeQueues(self._links, self.modules, mixes=self.queues.mixes_duplicates)
        self.wires = FakeWires(self._links, self.modules)
        self._namespaces.clear()
        self._boot = boot

    def live_rules(self) -> int:
        """Count the rules whose two interfaces are up; the others forward nothing."""
        up = {link.index for link in self._host_links() if link.up}
        return sum(times for rule, times in self._rules.items() if {rule.source, rule.target} <= up)

    def deliveries(self, source: str, *, fd: bool = False) -> Counter[str]:
        """Send a frame from the host end or bus ``source``; count who receives it.

        One hop, as can-gw forwards with ``max_hops`` 1. Returns the names of the
        interfaces that the rules deliver to.
        """
        by_index = {link.index: link for link in self._host_links()}
        start = self.link(source).index
        reached: Counter[str] = Counter()
        for rule, times in self._rules.items():
            if rule.source == start and bool(rule.flags & 0x08) is fd:
                target = by_index[rule.target]
                if target.up and by_index[start].up:
                    reached[target.name] += times
        return reached
