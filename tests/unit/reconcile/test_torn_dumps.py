"""A dump of rules that was torn: what only one observation shows is neither repaired nor reported.

The rules of a bus stay as they are whichever observation of a pass is torn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from evercan.model.names import is_host_end
from evercan.model.observed import Observed
from evercan.model.rule import Rule
from evercan.model.rule_list import RuleList
from evercan.model.rule_table import RuleTable
from evercan.model.steps import AddRules, Failure, MakePair, RemoveRules, Step
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.values import replace
from tests.support.changes import creating, joining, run_pass
from tests.support.fake_kernel import FakeKernel

MEMBERS = 20
DATAGRAM = 585
"""Rules in one datagram of the kernel's dump: 32 KiB."""


class PagingKernel(FakeKernel):
    """Dumps rules as ``cgw_dump_jobs`` does: the newest first, continuing by position.

    Attributes:
        meanwhile: called between the first two datagrams of a dump, one time.
        torn: which dump from now on is torn; 1 is the next one.
        page: how many rules a datagram has.
        applied: the steps of each call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None
        self.torn = 1
        self.page = DATAGRAM
        self.applied: list[Sequence[Step]] = []

    def observe(self) -> Observed:
        links = super().observe()
        rules: Counter[Rule] = Counter()
        at = 0
        if self.meanwhile is not None:
            self.torn -= 1
        while page := self.table()[at : at + self.page]:
            rules.update(page)
            at += len(page)
            if self.meanwhile is not None and self.torn == 0:
                happens, self.meanwhile = self.meanwhile, None
                happens()
        return replace(links, rules=RuleTable.of(rules))

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        self.applied.append(steps)
        return super().apply(steps)

    def tear(self, meanwhile: Callable[[], None], dump: int = 1) -> None:
        """Let something happen in the middle of a dump; 1 is the next one."""
        self.meanwhile, self.torn = meanwhile, dump

    def table(self) -> list[Rule]:
        return list(Counter(dict(reversed(self._rules.items()))).elements())


def own_rule(kernel: FakeKernel) -> Rule:
    """Return a rule between two interfaces that are not evercan's."""
    return Rule(kernel.link("can8").index, kernel.link("can9").index, 4)


@pytest.fixture
def kernel() -> PagingKernel:
    return PagingKernel()


@pytest.fixture
def reconciler(kernel: PagingKernel, tmp_path: Path) -> Reconciler:
    """A bus of more rules than one datagram holds, and another bus with newer ones."""
    reconciler = Reconciler(kernel, StateFile(tmp_path))
    reconciler.start()
    run_pass(reconciler, creating("net", "vcan0"), creating("other", "vcan1"))
    run_pass(reconciler, *(joining(f"{number:08x}") for number in range(MEMBERS)))
    run_pass(reconciler, joining("ffffffff", "other"))
    for name in ("can8", "can9"):
        kernel.make(name, up=True)
    run_pass(reconciler)
    kernel.applied.clear()
    return reconciler


def add_a_rule(kernel: PagingKernel) -> None:
    """Shift the rules back by one position: the last of a datagram is listed twice."""
    kernel.add_rule(own_rule(kernel))


def delete_an_interface(kernel: PagingKernel) -> None:
    """Shift the rules forward: the first of the next datagram are not listed.

    Needs rules that are newer than the bus's own, which stand before them in the table.
    """
    kernel.delete("can8")


def prepare(kernel: PagingKernel) -> None:
    for _ in range(4):
        kernel.add_rule(own_rule(kernel))


def added_and_removed(kernel: PagingKernel) -> tuple[list[Rule], list[Rule]]:
    """Return the rules that were added to and removed from the kernel, in all calls."""
    steps = [step for call in kernel.applied for step in call]
    return (
        [rule for step in steps if isinstance(step, AddRules) for rule in step.rules],
        [rule for step in steps if isinstance(step, RemoveRules) for rule in step.rules],
    )


def test_a_rule_that_somebody_adds_during_a_dump_makes_no_other_rule_seem_doubled(
    kernel: PagingKernel, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.tear(partial(add_a_rule, kernel))
    run_pass(reconciler)
    assert (kernel.applied, caplog.records) == ([], [])
    kernel.tear(partial(add_a_rule, kernel))
    assert Inspector(kernel, reconciler).inspect().problems == ()


def test_an_interface_that_is_deleted_during_a_dump_makes_no_rule_seem_missing(
    kernel: PagingKernel, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(kernel)
    kernel.tear(partial(delete_an_interface, kernel))
    run_pass(reconciler)
    assert (kernel.applied, caplog.records) == ([], [])


@pytest.mark.parametrize("disturb", [add_a_rule, delete_an_interface])
@pytest.mark.parametrize("dump", range(1, 8))
def test_a_torn_dump_anywhere_in_a_pass_neither_doubles_nor_removes_a_rule(
    kernel: PagingKernel,
    reconciler: Reconciler,
    disturb: Callable[[PagingKernel], None],
    dump: int,
) -> None:
    prepare(kernel)
    foreign = own_rule(kernel)
    before = kernel.observe().rules
    kernel.tear(partial(disturb, kernel), dump)
    run_pass(reconciler, joining("eeeeeeee"))
    kernel.meanwhile = None
    added, removed = added_and_removed(kernel)
    assert removed == []
    assert len(added) == len(set(added)) == 4 * (MEMBERS + 1)
    assert not set(added) & set(before)
    assert any(isinstance(step, MakePair) for call in kernel.applied for step in call)
    of_evercan = {rule: count for rule, count in kernel.observe().rules.items() if rule != foreign}
    assert set(of_evercan.values()) == {1}
    assert len(of_evercan) == 2 * (MEMBERS + 2) * (MEMBERS + 1) + 4
    assert reconciler.state.problems == ()


@pytest.mark.parametrize("disturb", [add_a_rule, delete_an_interface])
@pytest.mark.parametrize("dump", range(1, 6))
def test_a_torn_dump_in_a_pass_that_repairs_links_changes_no_rule(
    kernel: PagingKernel,
    reconciler: Reconciler,
    disturb: Callable[[PagingKernel], None],
    dump: int,
) -> None:
    prepare(kernel)
    host_end = next(name for name in kernel.observe().links if is_host_end(name))
    kernel.set_flag(host_end, up=False)
    kernel.tear(partial(disturb, kernel), dump)
    run_pass(reconciler)
    kernel.meanwhile = None
    assert added_and_removed(kernel) == ([], [])
    assert kernel.link(host_end).up
    assert reconciler.state.problems == ()


@pytest.mark.parametrize("disturb", [add_a_rule, delete_an_interface])
@pytest.mark.parametrize("dump", range(1, 5))
def test_a_torn_dump_while_a_second_network_comes_to_a_bus_changes_no_rule(
    kernel: PagingKernel,
    reconciler: Reconciler,
    disturb: Callable[[PagingKernel], None],
    dump: int,
) -> None:
    prepare(kernel)
    bus = kernel.link("vcan0").index
    # The rule before the cut and the rule after it are those of the bus interface.
    kernel.page = next(
        at
        for at in range(100, len(kernel.table()))
        if all(bus in (rule.source, rule.target) for rule in kernel.table()[at - 1 : at + 1])
    )
    kernel.tear(partial(disturb, kernel), dump)
    run_pass(reconciler, creating("second", "vcan0"))
    kernel.meanwhile = None
    assert added_and_removed(kernel) == ([], [])


def test_a_rule_that_two_observations_do_not_show_is_added_again(
    kernel: PagingKernel, reconciler: Reconciler
) -> None:
    missing = next(iter(kernel.observe().rules))
    assert kernel.apply([RemoveRules("vcan0", RuleList([missing]))]) == []
    run_pass(reconciler)
    assert kernel.observe().rules[missing] == 1
