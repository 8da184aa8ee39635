"""The real kernel, over rtnetlink and can-gw."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from evercan.errors import KernelError
from evercan.kernel import can_gw, links
from evercan.kernel.netlink import Message, NetlinkSocket
from evercan.model import Observed, Rule
from evercan.steps import AddRules, DeleteLink, DropRules, Failure, MakeBus, MakePair, SetUp, Step

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class RtnetlinkKernel:
    """The host's kernel; implements ``port.Kernel``. Use it from one thread at a time."""

    def __init__(self) -> None:
        """Open the netlink socket.

        Raises:
            KernelError: there is no rtnetlink.
        """
        self._netlink = NetlinkSocket()

    def boot_id(self) -> str:
        """Return ``/proc/sys/kernel/random/boot_id``."""
        return _BOOT_ID.read_text(encoding="ascii").strip()

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def observe(self) -> Observed:
        """Dump links and rules.

        Raises:
            KernelError: a dump was refused.
        """
        found = links.decode_links(self._netlink.dump(links.list_all()))
        rules = self._rules()
        return Observed(
            links={link.name: link for link in found},
            rules=Counter() if rules is None else rules,
            can_gw=rules is not None,
        )

    def _rules(self) -> Counter[Rule] | None:
        """Dump the rules; None when the kernel has no can-gw to ask."""
        try:
            return can_gw.decode_rules(self._netlink.dump(can_gw.list_all()))
        except can_gw.NotCanGw:
            return None
        except KernelError as error:
            # Without can-gw the request goes to the IP families, which refuse
            # its short header under strict checking.
            if error.code in (errno.EINVAL, errno.EOPNOTSUPP):
                return None
            raise

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        """Send all steps as one run of messages and read the answers together."""
        sent: list[tuple[Step, Message]] = [
            (step, message) for step in steps for message in _messages(step)
        ]
        answers = self._netlink.batch([message for _, message in sent])
        failures: list[Failure] = []
        for (step, _), answer in zip(sent, answers, strict=True):
            if answer.code and not (failures and failures[-1].step is step):
                failures.append(Failure(step, answer.code, answer.words))
        return failures


def _messages(step: Step) -> Iterator[Message]:
    match step:
        case MakeBus(name):
            yield links.make_vcan(name)
            yield links.set_up(name)
        case MakePair(_, _, host_end, container_end):
            yield links.make_pair(host_end, container_end)
            yield links.set_up(host_end)
        case SetUp(_, _, name):
            yield links.set_up(name)
        case DeleteLink(index, _):
            yield links.delete(index)
        case AddRules(_, rules):
            yield from map(can_gw.add, rules)
        case DropRules(_, rules):
            yield from map(can_gw.remove, rules)
