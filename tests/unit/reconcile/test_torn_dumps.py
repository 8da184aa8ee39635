"""A dump of rules that was torn: what only one look shows is neither mended nor told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from evercan.model.observed import Observed, Rule
from evercan.model.steps import Failure, RemoveRules, Step
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, run_pass
from tests.support.fake_kernel import FakeKernel

MEMBERS = 20
DATAGRAM = 585
"""Rules in one datagram of the kernel's dump: 32 KiB."""


class PagingKernel(FakeKernel):
    """Dumps rules as ``cgw_dump_jobs`` does: the newest first, going on by position.

    Attributes:
        meanwhile: happens between the first two datagrams of the next dump.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None
        self.applied: list[Sequence[Step]] = []

    def observe(self) -> Observed:
        links = super().observe()
        rules: Counter[Rule] = Counter()
        at = 0
        while page := self._table()[at : at + DATAGRAM]:
            rules.update(page)
            at += len(page)
            if self.meanwhile is not None:
                happens, self.meanwhile = self.meanwhile, None
                happens()
        return replace(links, rules=rules)

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        self.applied.append(steps)
        return super().apply(steps)

    def _table(self) -> list[Rule]:
        return list(Counter(dict(reversed(self._rules.items()))).elements())


@pytest.fixture
def kernel() -> PagingKernel:
    return PagingKernel()


@pytest.fixture
def reconciler(kernel: PagingKernel, tmp_path: Path) -> Reconciler:
    """A bus of more rules than one datagram holds, and another bus with newer ones."""
    made = Reconciler(kernel, StateFile(tmp_path))
    made.start()
    run_pass(made, creating("net", "vcan0"), creating("other", "vcan1"))
    run_pass(made, *(joining(f"{number:08x}") for number in range(MEMBERS)))
    run_pass(made, joining("ffffffff", "other"))
    for name in ("can8", "can9"):
        kernel.make(name, up=True)
    run_pass(made)
    kernel.applied.clear()
    return made


def test_a_rule_that_somebody_adds_meanwhile_makes_no_other_seem_double(
    kernel: PagingKernel, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    own = Rule(kernel.link("can8").index, kernel.link("can9").index, 4)
    kernel.meanwhile = partial(kernel.add_rule, own)
    run_pass(reconciler)
    assert (kernel.applied, caplog.records) == ([], [])
    kernel.meanwhile = partial(kernel.add_rule, own)
    assert Inspector(kernel, reconciler).inspect().problems == ()


def test_an_interface_that_goes_meanwhile_makes_no_rule_seem_gone(
    kernel: PagingKernel, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    # Newer rules than the bus's own stand before them in the table.
    for _ in range(4):
        kernel.add_rule(Rule(kernel.link("can8").index, kernel.link("can9").index, 4))
    kernel.meanwhile = partial(kernel.delete, "can8")
    run_pass(reconciler)
    assert (kernel.applied, caplog.records) == ([], [])


def test_what_two_looks_show_is_mended(kernel: PagingKernel, reconciler: Reconciler) -> None:
    gone = next(iter(kernel.observe().rules))
    assert kernel.apply([RemoveRules("vcan0", (gone,))]) == []
    run_pass(reconciler)
    assert kernel.observe().rules[gone] == 1
