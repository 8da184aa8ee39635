"""Implements the port for the real kernel, over rtnetlink and can-gw."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from evercan.errors import KernelError
from evercan.kernel import can_gw, links
from evercan.kernel.classifiers import read_classifiers, replace_classifiers
from evercan.kernel.events import NamespaceEvents
from evercan.kernel.fault_queues import read_fault_queues, set_faults
from evercan.kernel.netlink import Message, NetlinkSocket, Reply
from evercan.kernel.port import Checkpoint
from evercan.kernel.receive_lists import ReceiveLists
from evercan.kernel.table import Table
from evercan.kernel.wires import make_wire, read_wire_entries, read_wires, set_wire_entry
from evercan.model.access import Filters
from evercan.model.controller import NO_SETTINGS, Controller
from evercan.model.controller_match import lacks_mode, restoring
from evercan.model.observed import (
    FILTER_GROUP,
    HOST_GROUP,
    LINK_GROUP,
    Filtered,
    Link,
    Observed,
    Receivers,
    clashing_name,
    filtered_interfaces,
    placeholder_name,
)
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

_SEVERAL_CALLS = RepairPair | ConfigureBus | SetFilters | SetFaults | MakeWire | SetWireEntry

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class RtnetlinkKernel:
    """The host's kernel; implements ``port.Kernel``. Use it from one thread at a time."""

    def __init__(self) -> None:
        """Open the netlink socket.

        Raises:
            KernelError: there is no rtnetlink.
        """
        self._netlink = NetlinkSocket()
        self._links = Table(
            self._netlink, links.list_all(), lambda chunks: tuple(links.decode_links(chunks))
        )
        self._rules = Table(self._netlink, can_gw.list_all(), can_gw.decode_without_counts)
        self._namespaces = NamespaceEvents()
        self._receive_lists = ReceiveLists()
        self._ended: set[int] = set()
        self._announcements_lost = False

    @property
    def checkpoint(self) -> Checkpoint:
        """What is called between the datagrams of a dump."""
        return self._netlink.checkpoint

    @checkpoint.setter
    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._netlink.checkpoint = checkpoint

    def boot_id(self) -> str:
        """Return ``/proc/sys/kernel/random/boot_id``.

        Raises:
            KernelError: it cannot be read.
        """
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError as error:
            raise KernelError(
                f"read {_BOOT_ID}", error.errno or errno.EIO, "evercan tries again"
            ) from error

    def close(self) -> None:
        """Close the sockets and the file."""
        self._netlink.close()
        self._namespaces.close()
        self._receive_lists.close()

    def observe(self) -> Observed:
        """Dump links and rules.

        Raises:
            KernelError: a dump was rejected.
        """
        return self._observe(counted=False)

    def observe_with_counts(self) -> Observed:
        """Dump links, and rules with their counters; errors as of ``observe``."""
        return self._observe(counted=True)

    def _observe(self, *, counted: bool) -> Observed:
        with _decoding("the kernel's tables"):
            return self._read(counted=counted)

    def _read(self, *, counted: bool) -> Observed:
        named = {link.name: link for link in self._links.read()}
        observed = self._read_rules(named, counted=counted)
        # Read after the rules: what they count as dropped because of a filter is counted there.
        filtered = read_classifiers(self._netlink, filtered_interfaces(named))
        queues = read_fault_queues(self._netlink, named)
        wires = read_wires(self._netlink, named)
        if wires is not None:
            observed = replace(
                observed, wires=wires.seen, wire_counts=wires.counts, wire_entries=wires.entries
            )
        if not (filtered or queues):
            return observed
        return replace(
            observed,
            fault_queues=queues,
            filters={index: seen for index, (seen, _) in filtered.items()},
            filter_counts={index: count for index, (_, count) in filtered.items()},
        )

    def _read_rules(self, named: Mapping[str, Link], *, counted: bool) -> Observed:
        # Read before the rules: what changes afterwards makes another number of it.
        entries = self.receive_list_entries()
        try:
            if counted:
                # Not kept: what rules have counted is as large as the rules.
                rules, counts = self._netlink.read(can_gw.list_all(), can_gw.decode_with_counts)
            else:
                rules, counts = self._rules.read()
            receivers = None if entries is None else Receivers(entries, rules.total())
            return Observed(links=named, rules=rules, counts=counts, receivers=receivers)
        except can_gw.NotCanGw:
            pass
        except KernelError as error:
            # Without can-gw the request goes to the IP families, which refuse
            # its short header under strict checking.
            if error.code not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
        return Observed(links=named, can_gw=False)

    def links_named(self, names: Iterable[str]) -> list[Link]:
        """Ask for one link after another; the host may have hundreds of others."""
        found = ((name, self._get(links.get_by_name(name))) for name in names)
        # The kernel finds a link by its altnames too (__dev_get_by_name).
        return [link for name, link in found if link is not None and link.name == name]

    def filters(self, interfaces: Iterable[Filtered]) -> Mapping[int, Filters]:
        """Dump the classifiers of one interface after another."""
        with _decoding("classifiers"):
            found = read_classifiers(self._netlink, interfaces)
        return {index: filters for index, (filters, _) in found.items()}

    def wire_entries(self, found: Iterable[Link]) -> Mapping[int, WireEntry]:
        """Dump the classifiers of one interface after another."""
        with _decoding("classifiers"):
            return read_wire_entries(self._netlink, found)

    def controller(self, index: int) -> Controller | None:
        """Read one link with its statistics."""
        found = self._get(links.get_with_statistics(index))
        return None if found is None else found.controller

    def receive_list_entries(self) -> int | None:
        """Read ``/proc/net/can/stats``."""
        return self._receive_lists.count()

    def ended_namespaces(self) -> frozenset[int] | None:
        """Read the announcements since the last call."""
        self._receive()
        ended, lost = frozenset(self._ended), self._announcements_lost
        self._ended, self._announcements_lost = set(), False
        return None if lost else ended

    def _receive(self) -> None:
        received = self._namespaces.drain()
        if received is None:
            self._announcements_lost = True
        else:
            self._ended |= received

    def name_inside(self, link: Link) -> str | None:
        """Ask for the other end by its number, in its namespace."""
        if link.peer_index is None or link.known_nsid is None:
            return None
        found = self._get(links.get_inside(link.peer_index, link.known_nsid))
        return None if found is None else found.name

    def _get(self, message: Message) -> Link | None:
        answer, _ = self._netlink.request(message)
        with _decoding("a link"):
            return None if answer is None else next(links.decode_links([answer]), None)

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        """Send runs of plain steps as one batch each; take those of several calls between them."""
        failures: list[Failure] = []
        for _, run in groupby(steps, lambda step: isinstance(step, _SEVERAL_CALLS)):
            for step, answer in self._take(list(run)):
                if answer.code and not (failures and failures[-1].step is step):
                    failures.append(Failure(step, answer.code, answer.words))
        return failures

    def _take(self, steps: Sequence[Step]) -> Iterable[tuple[Step, Reply]]:
        """Take a run of steps that all are one message each or more, or all several calls."""
        if isinstance(steps[0], _SEVERAL_CALLS):
            return [(step, self._take_one(step)) for step in steps]
        sent: list[Step] = []

        def messages() -> Iterator[Message]:
            for step in steps:
                for message in _messages(step):
                    sent.append(step)
                    yield message

        answers = self._netlink.batch(messages())
        return zip(sent, answers, strict=True)

    def _take_one(self, step: Step) -> Reply:
        match step:
            case RepairPair():
                return self._repair(step)
            case ConfigureBus():
                return self._configure(step)
            case SetFilters():
                return replace_classifiers(self._netlink, step)
            case SetFaults():
                return set_faults(self._netlink, step)
            case MakeWire():
                return make_wire(self._netlink, step)
            case SetWireEntry():
                return set_wire_entry(self._netlink, step)
        raise AssertionError(f"to {step} is one message")

    def _configure(self, step: ConfigureBus) -> Reply:
        """Configure a controller and bring it up; if it rejects that, restore how it was.

        The kernel takes modes before it rejects a bitrate (``can_changelink``), so that a
        rejected request can leave a controller changed. A driver that cannot restart rejects
        a restart delay; evercan restarts such a controller itself (``planning.bus_off``), so
        that it is configured without one. A mode that the controller lacks is not even asked
        for: Linux 6.1 takes the bitrate before it rejects a mode, and a bitrate that was never
        set cannot be restored.
        """
        seen = self.controller(step.index)
        if seen is not None and lacks_mode(step.settings, seen):
            return Reply(errno.EOPNOTSUPP)
        if step.was_up:
            self._netlink.batch([links.bring_down(step.index)])
        (answer,) = self._netlink.batch([links.configure(step.index, step.settings)])
        if answer.code == errno.EOPNOTSUPP and step.settings.restart_ms:
            without = replace(step.settings, restart_ms=None)
            (answer,) = self._netlink.batch([links.configure(step.index, without)])
        if answer.code:
            former = restoring(step.settings, step.former)
            self._netlink.batch([links.configure(step.index, former, up=step.was_up)])
        return answer

    def _repair(self, step: RepairPair) -> Reply:
        """Create a pair again whose end goes into a namespace, under the name that it had there.

        The kernel renames an interface on its way into a namespace only if its name is
        taken there. So a placeholder takes the name that the new end has on the host, the
        end moves in and gets the wanted name because of the clash, and the placeholder is
        deleted.
        """
        self._receive()
        if self._announcements_lost or step.location.nsid in self._ended:
            return Reply(errno.ESTALE, "its network namespace has just ended")
        clashing, placeholder = clashing_name(step.host_end), placeholder_name(step.host_end)
        answers = self._netlink.batch(
            [
                links.make_pair(clashing, placeholder, first_in=step.location.nsid),
                links.make_pair(step.host_end, clashing),
            ]
        )
        rejection = next((answer for answer in answers if answer.code), None)
        # A placeholder that was not created here is somebody else's, or left over; a plan
        # deletes it then.
        made = [] if answers[0].code else [placeholder]
        host_end = self._get(links.get_by_name(step.host_end))
        if rejection is None and host_end is not None and host_end.peer_index is not None:
            end = host_end.peer_index
            altname = [] if step.altname is None else [links.add_altname(end, step.altname)]
            move = links.move_inside(end, *step.location)
            answers = self._netlink.batch([*altname, move, links.bring_up(step.host_end)])
            rejection = next((answer for answer in answers if answer.code), None)
        leftovers = [self._get(links.get_by_name(name)) for name in made]
        if rejection is not None and not answers[-1].code:
            leftovers.append(host_end)
        self._netlink.batch([links.delete(link.index) for link in leftovers if link is not None])
        return rejection or Reply(0)


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    """Turn bytes that cannot be decoded into an error of the kernel's.

    Raises:
        KernelError: EBADMSG.
    """
    try:
        yield
    except struct.error as error:
        raise KernelError(f"decode {what}", errno.EBADMSG, "evercan tries again") from error


def _messages(step: Step) -> Iterator[Message]:
    match step:
        case AddRules(_, rules):
            return map(can_gw.add, rules)
        case RemoveRules(_, rules):
            return map(can_gw.remove, rules)
        case MakeBus(name, for_host):
            # Created up: a separate request could bring up an interface that somebody else
            # has created meanwhile under this name.
            group = HOST_GROUP if for_host else LINK_GROUP
            return iter((links.make_vcan(name, group),))
        case MakeFilterInterface(_, _, name):
            return iter((links.make_vcan(name, FILTER_GROUP),))
        case MakePair(_, _, host_end, container_end):
            return iter((links.make_pair(host_end, container_end, up=True),))
        case _:
            return _messages_of_link(step)


def _messages_of_link(step: Step) -> Iterator[Message]:
    """Yield the requests that change or delete a link."""
    match step:
        case (
            RepairPair() | ConfigureBus() | SetFilters() | SetFaults() | MakeWire() | SetWireEntry()
        ):
            raise AssertionError(f"to {step} takes several calls, not one message")
        case NameEnd(_, _, index, altname):
            yield links.add_altname(index, altname)
        case BringUp(_, _, name):
            yield links.bring_up(name)
        case BringDown(_, _, index, _):
            yield links.bring_down(index)
        case SetMtu(_, _, index, _, mtu):
            yield links.bring_down(index)
            yield links.set_mtu(index, mtu)
        case RestartBus(_, index, _):
            yield links.bring_down(index)
            yield links.configure(index, NO_SETTINGS)
        case ClearTag(index, _):
            yield links.clear_group(index)
        case DeleteLink(index, _):
            yield links.delete(index)
