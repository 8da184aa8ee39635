"""Reads and replaces the classifiers of interfaces."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from functools import partial

from evercan.kernel import tc
from evercan.kernel.netlink import NetlinkSocket, Reply
from evercan.model.access import Filter, FilterCount, Filters
from evercan.model.observed import Filtered
from evercan.model.steps import SetFilters


def read_classifiers(
    netlink: NetlinkSocket, interfaces: Iterable[Filtered]
) -> dict[int, tuple[Filters, FilterCount]]:
    """Dump the classifiers of interfaces with their counters, by ifindex.

    A dump that follows another answer has room for the largest classifier: its first datagram
    may be as long as what was received on the socket before (``netlink_dump``). Interfaces are
    known from a dump of links, so that there is one.
    """
    return {
        interface.ifindex: netlink.read(tc.list_all(interface), partial(tc.decode, interface))
        for interface in interfaces
    }


def replace_classifiers(netlink: NetlinkSocket, step: SetFilters) -> Reply:
    """Remove all classifiers of an interface, and add those of a step.

    While some are missing no frame passes (``planning.filters``). If the kernel rejects one,
    the rest is left as it is.

    Returns:
        The kernel's answer; EOPNOTSUPP with the module's name if a module is missing.
    """
    interface = Filtered(step.index, step.ingress)
    netlink.batch([tc.remove_all(step.index)])
    messages = [
        tc.add(interface, place, wanted) for place, wanted in enumerate(step.filters, start=1)
    ]
    answers = netlink.batch([tc.make_qdisc(step.index), *messages])
    for place, answer in enumerate(answers):
        if answer.code == errno.ENOENT:
            wanted = step.filters[place - 1] if place else None
            module = _missing_module(netlink, interface, wanted, answer.words)
            return Reply(errno.EOPNOTSUPP, module)
        if answer.code:
            return answer
    return Reply(0)


def _missing_module(
    netlink: NetlinkSocket, interface: Filtered, rejected: Filter | None, words: str
) -> str:
    """Name the module without which the kernel has rejected a classifier, or the qdisc."""
    if rejected is None:
        return "sch_ingress"
    if "classifier" in words:
        return "cls_basic"
    if "action" not in words:
        return "em_canid"
    if not rejected.target:
        return "act_gact"
    # The kernel does not say which of two actions it lacks.
    trial = tc.add(interface, len(words), rejected._replace(rate=0))
    (answer,) = netlink.batch([trial])
    netlink.batch([tc.remove_all(interface.ifindex)])
    return "act_mirred" if answer.code else "act_police"
