"""A kernel that keeps state and refuses what the real one refuses.

``tests/e2e/test_conformance.py`` takes the same steps against this and against
the real kernel and compares. The methods in the second half are the rest of
the world: the engine that moves interfaces, people who break things, a reboot.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from evercan.model import LINK_GROUP, MAX_NAME, Link, Observed, Rule, RuleCount
from evercan.steps import (
    AddRules,
    DeleteLink,
    DropRules,
    Failure,
    MakeBus,
    MakePair,
    MendPair,
    SetUp,
    Step,
)

HOST = None
"""The network namespace of the host; a sandbox's is its nsid."""


class FakeKernel:
    """Implements ``evercan.kernel.port.Kernel`` in memory.

    Attributes:
        modules: loaded kernel modules; remove one to see what its lack does.
        calls: how many times ``observe`` and ``apply`` were called.
        taken: every step that was ever taken, in order.
    """

    def __init__(self, *, boot: str = "boot-1") -> None:
        self.modules = {"vcan", "vxcan", "can-gw"}
        self.calls = Counter[str]()
        self.taken: list[Step] = []
        self._boot = boot
        self._index = count(2)
        self._links: dict[int, Link] = {}
        self._where: dict[int, int | None] = {}
        self._rules: Counter[Rule] = Counter()
        self._sandboxes: set[int] = set()
        self._ended: set[int] = set()

    # --- the port ---------------------------------------------------------

    def boot_id(self) -> str:
        return self._boot

    def observe(self) -> Observed:
        self.calls["observe"] += 1
        return Observed(
            links={link.name: link for link in self._host_links()},
            rules=Counter(self._rules),
            can_gw="can-gw" in self.modules,
        )

    def rule_counts(self) -> list[tuple[Rule, RuleCount]]:
        return [(rule, RuleCount()) for rule in self._rules.elements()]

    def ended_namespaces(self) -> frozenset[int] | None:
        ended, self._ended = frozenset(self._ended), set()
        return ended

    def name_inside(self, link: Link) -> str | None:
        inside = self._links.get(link.peer_index or 0)
        return None if inside is None else inside.name

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        self.calls["apply"] += 1
        failures = []
        for step in steps:
            self.taken.append(step)
            code = self._take(step)
            if code:
                failures.append(Failure(step, code))
        return failures

    def close(self) -> None:
        self.calls["close"] += 1

    # --- what the kernel does ------------------------------------------------

    def _take(self, step: Step) -> int:
        match step:
            case MakeBus(name):
                return self.make(name, "vcan", group=LINK_GROUP, up=True)
            case MakePair(_, _, host_end, container_end):
                return self._make_pair(host_end, container_end)
            case MendPair():
                return self._mend(step)
            case SetUp(_, _, name):
                return self.set_flag(name, up=True)
            case DeleteLink(index, _):
                if index not in self._links or self._where[index] is not HOST:
                    return errno.ENODEV
                self._delete(index)
                return 0
            case AddRules(_, rules):
                return self._first_error(map(self._add_rule, rules))
            case DropRules(_, rules):
                return self._first_error(map(self._drop_rule, rules))

    @staticmethod
    def _first_error(codes: Iterator[int]) -> int:
        # All of a batch is tried, as netlink does; the first error is told.
        return next((code for code in list(codes) if code), 0)

    def _host_links(self) -> Iterator[Link]:
        for index, link in sorted(self._links.items()):
            if self._where[index] is HOST:
                peer = link.peer_index
                nsid = None if peer is None else self._where[peer]
                running = link.up and (peer is None or self._links[peer].up)
                yield replace(link, peer_nsid=nsid, running=running)

    def _find(self, name: str, where: int | None = HOST) -> int | None:
        for index, link in self._links.items():
            if self._where[index] == where and (link.name == name or name in link.altnames):
                return index
        return None

    def _refusal_of_name(self, name: str) -> int:
        if not name or len(name.encode()) > MAX_NAME:
            return errno.ERANGE if name else errno.EINVAL
        if name in (".", "..") or any(each in "/:" or each.isspace() for each in name):
            return errno.EINVAL
        return errno.EEXIST if self._find(name) is not None else 0

    def _make_pair(self, host_end: str, container_end: str) -> int:
        if "vxcan" not in self.modules:
            return errno.EOPNOTSUPP
        code = self._refusal_of_name(host_end) or self._refusal_of_name(container_end)
        if code or host_end == container_end:
            return code or errno.EEXIST
        # vxcan_newlink registers the peer first.
        container, host = next(self._index), next(self._index)
        for index, name, peer in (
            (container, container_end, host),
            (host, host_end, container),
        ):
            self._links[index] = Link(
                index=index,
                name=name,
                kind="vxcan",
                group=LINK_GROUP,
                peer_index=peer,
                up=index == host,
            )
            self._where[index] = HOST
        return 0

    def _mend(self, step: MendPair) -> int:
        nsid, inside = step.sandbox
        if nsid in self._ended:
            return errno.ESTALE
        assert nsid in self._sandboxes, f"there is no namespace {nsid} to mend in"
        if self._find(inside, nsid) is not None:
            return errno.EEXIST
        if code := self._make_pair(step.host_end, step.container_end):
            return code
        self.take(step.container_end, nsid, inside)
        return 0

    def _delete(self, index: int) -> None:
        doomed = {index}
        peer = self._links[index].peer_index
        if peer is not None:
            doomed.add(peer)
        for each in doomed:
            del self._links[each]
            del self._where[each]
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

    def _drop_rule(self, rule: Rule) -> int:
        assert rule.source > 0, "a removal without interfaces would flush the host's table"
        assert rule.target > 0, "a removal without interfaces would flush the host's table"
        if not self._rules[rule]:
            return errno.EINVAL
        self._rules[rule] -= 1
        self._rules += Counter()
        return 0

    # --- the rest of the world -----------------------------------------------

    def make(
        self,
        name: str,
        kind: str = "vcan",
        *,
        group: int = 0,
        up: bool = False,
        is_can: bool = True,
    ) -> int:
        """Make an interface on the host; return an errno or 0."""
        if kind in ("vcan", "vxcan") and kind not in self.modules:
            return errno.EOPNOTSUPP
        if code := self._refusal_of_name(name):
            return code
        index = next(self._index)
        self._links[index] = Link(
            index=index, name=name, kind=kind, group=group, up=up, is_can=is_can
        )
        self._where[index] = HOST
        return 0

    def set_flag(self, name: str, *, up: bool) -> int:
        """Set an interface of the host up or down; return an errno or 0."""
        index = self._find(name)
        if index is None:
            return errno.ENODEV
        self._links[index] = replace(self._links[index], up=up)
        return 0

    def delete(self, name: str) -> None:
        """Delete an interface of the host, as ``ip link del`` does."""
        index = self._find(name)
        assert index is not None, f"there is no {name}"
        self._delete(index)

    def link(self, name: str) -> Link:
        """Return an interface of the host."""
        return self.observe().links[name]

    def add_rule(self, rule: Rule) -> None:
        """Lay a rule, as ``cangw -A`` does."""
        assert self._add_rule(rule) == 0

    def flush_rules(self) -> None:
        """Remove every rule of the host, as ``cangw -F`` does."""
        self._rules.clear()

    def take(self, name: str, nsid: int, inside: str = "vcanp0") -> None:
        """Move an interface into a sandbox, rename it and set it up, as the engine does."""
        index = self._find(name)
        assert index is not None, f"the engine cannot find {name}"
        assert self._find(inside, nsid) is None, f"the sandbox has an {inside}"
        self._where[index] = nsid
        self._sandboxes.add(nsid)
        self._links[index] = replace(self._links[index], name=inside, up=True)

    def give_back(self, nsid: int, inside: str, name: str) -> None:
        """Move an interface back to the host, down, as the engine does after Leave."""
        index = self._find(inside, nsid)
        assert index is not None, f"there is no {inside} in namespace {nsid}"
        self._where[index] = HOST
        self._links[index] = replace(self._links[index], name=name, up=False)

    def end_sandbox(self, nsid: int) -> None:
        """End a namespace: the pairs whose ends are in it go with it."""
        self._sandboxes.discard(nsid)
        self._ended.add(nsid)
        for index in [each for each, where in self._where.items() if where == nsid]:
            if index in self._links:
                self._delete(index)

    def reboot(self, boot: str) -> None:
        """Forget everything but the modules, as a power cut does."""
        self._links.clear()
        self._where.clear()
        self._rules.clear()
        self._sandboxes.clear()
        self._boot = boot

    def deliveries(self, source: str, *, fd: bool = False) -> Counter[str]:
        """Send a frame into the host end (or bus) ``source``; count who gets it.

        One hop, as can-gw forwards with ``max_hops`` 1. Names the interfaces that
        the rules deliver to.
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
