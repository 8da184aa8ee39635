"""Applies the steps of a plan, logs them, and counts what became of them."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from evercan.kernel.port import Kernel
from evercan.log import lines
from evercan.model.declared import Declared
from evercan.model.steps import (
    AddRules,
    BringDown,
    BringUp,
    ClearTag,
    ConfigureBus,
    DeleteLink,
    Failure,
    MakeBus,
    NameEnd,
    RemoveRules,
    RestartBus,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)

_NOT_THERE = frozenset({errno.ENOENT, errno.ENODEV})

_MAY_BE_GONE = (
    *(RemoveRules, DeleteLink, AddRules, BringUp, BringDown),
    *(SetMtu, ConfigureBus, RestartBus, ClearTag, NameEnd),
)
"""Steps whose interface may have disappeared meanwhile: the next plan takes that into account."""


class Applier:
    """The only caller of ``kernel.apply``.

    Attributes:
        steps_taken: how often each kind of step was taken, by kind and outcome.
    """

    def __init__(self, kernel: Kernel) -> None:
        """Take the kernel that is changed."""
        self._kernel = kernel
        self.steps_taken: Counter[tuple[str, str]] = Counter()

    def apply(
        self,
        before: Declared,
        declared: Declared,
        steps: Sequence[Step],
        *,
        rebooted: bool,
        since_reboot: bool,
    ) -> list[Failure]:
        """Apply steps; return what the kernel did not take, with its reasons.

        Args:
            before: what was wanted when the pass began.
            declared: what is wanted now.
            steps: what to do, in this order.
            rebooted: this is the first pass after a reboot.
            since_reboot: the host was rebooted since the state file was written. Pairs from
                before are created when their containers join, passes later.

        Raises:
            KernelError: the kernel cannot be reached.
        """

        def log(line: Callable[..., None], step: Step) -> None:
            cause = rebooted if isinstance(step, MakeBus) else since_reboot
            line(before, declared, step, rebooted=cause)

        for step in steps:
            log(lines.before_step, step)
        failures = self._kernel.apply(steps)
        failed = {failure.step for failure in failures}
        for step in steps:
            self.steps_taken[type(step).__name__, "refused" if step in failed else "done"] += 1
            if step not in failed:
                log(lines.after_step, step)
        return failures


def lasting(declared: Declared, failures: Iterable[Failure]) -> Iterator[tuple[Step, Failure]]:
    """Yield the failures that do not only say that somebody else was faster."""
    for failure in failures:
        step, code = failure.step, failure.code
        if isinstance(step, MakeBus) and code == errno.EEXIST:
            lines.created_concurrently(declared, step)
        elif isinstance(step, RemoveRules) and code == errno.EINVAL:
            pass  # cgw_remove_job's answer for a rule that does not exist
        elif isinstance(step, NameEnd) and code == errno.EEXIST:
            pass  # another end of that name came first; the next plan sees it
        elif isinstance(step, SetFaults) and step.queue is None and code == errno.EINVAL:
            pass  # qdisc_destroy's answer for a queue that is not evercan's, or is gone
        elif isinstance(step, SetFilters | SetFaults | SetWireEntry) and code == errno.ENODEV:
            pass  # its interface, or the one that frames are redirected to, is gone
        elif not (code in _NOT_THERE and isinstance(step, _MAY_BE_GONE)):
            yield step, failure
