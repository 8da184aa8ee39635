"""Steps that the kernel did not take: what to report, and when to try again."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping

from evercan.errors import ModuleMissing, spelled, symbol
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import (
    ConfigureBus,
    Failure,
    MakeBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    SetFaults,
    SetFilters,
    SetWireEntry,
    Step,
)
from evercan.values import dataclass, field

RETRY_AFTER = 10.0
"""Seconds after which a controller that could not be configured is tried again."""

_PERMANENT = frozenset({errno.EINVAL, errno.ERANGE, errno.EDOM, errno.EOPNOTSUPP})
"""Errors of settings that a controller cannot have, now or later."""


def problems_of_failures(
    steps: Iterable[Step], failed: Mapping[Step, Failure], observed: Observed
) -> tuple[Problem, ...]:
    """Return a problem for each step that is still wanted.

    Args:
        steps: what is still wanted after a pass.
        failed: the steps that the kernel did not take.
        observed: what exists, for the limits of controllers.
    """
    return tuple(_problem(step, failed.get(step), observed) for step in steps)


def _problem(step: Step, failure: Failure | None, observed: Observed) -> Problem:
    text = f"could not {step} although the kernel accepted it"
    remedy = "evercan tries again in its next pass; the kernel's log (dmesg) may say more"
    kind = ProblemKind.BUS_SETTINGS if isinstance(step, ConfigureBus) else ProblemKind.REFUSED
    if failure is not None:
        reason = failure.words.rstrip(".") or spelled(failure.code)
        text = f"could not {step}: {reason} ({symbol(failure.code)})"
        if failure.code == errno.EOPNOTSUPP and isinstance(
            step, MakeBus | MakePair | MakeFilterInterface
        ):
            kind = ProblemKind.MODULE_MISSING
            missing = ModuleMissing("vxcan" if isinstance(step, MakePair) else "vcan")
            text, remedy = missing.text, missing.remedy
        elif failure.code == errno.EOPNOTSUPP and isinstance(
            step, SetFilters | MakeWire | SetWireEntry
        ):
            kind = ProblemKind.MODULE_MISSING
            missing = ModuleMissing(failure.words)
            text, remedy = missing.text, missing.remedy
        elif failure.code == errno.ENOSYS and isinstance(step, MakeWire):
            remedy = "create the network without vxcan.bitrate, or run Linux 5.19 or newer"
        elif failure.code == errno.EPERM:
            remedy = "grant the plugin CAP_NET_ADMIN (docker plugin enable asks for it)"
    if isinstance(step, SetFaults):
        kind = ProblemKind.FAULTS_BLOCKED
        if failure is not None:
            text, remedy = _of_faults(step, failure, text, remedy)
    if isinstance(step, ConfigureBus):
        remedy = _limits(step, observed) or remedy
    return Problem(kind=kind, bus=step.bus, endpoint=step.endpoint, text=text, remedy=remedy)


def _of_faults(step: SetFaults, failure: Failure, text: str, remedy: str) -> tuple[str, str]:
    """Write why an interface does not have the faults that are set, and what to do about it."""
    match failure.code:
        case errno.EOPNOTSUPP:
            missing = ModuleMissing(failure.words)
            return f"could not {step}: {missing.text}", missing.remedy
        case errno.EEXIST:
            return (
                f"could not {step}: somebody else has set a queue on it, which evercan keeps",
                f"on the host run 'tc qdisc del dev {step.name} root', or 'evercan fault clear'",
            )
        case errno.EINVAL:
            remedy = "run 'evercan fault clear', and set fewer faults: some kernels take no fault "
            return text, remedy + "that duplicates frames beside another fault of the same receiver"
        case _:
            return text, remedy


def _limits(step: ConfigureBus, observed: Observed) -> str:
    """Write what a controller can do, if that is known."""
    link = observed.links.get(step.name)
    if link is None or link.controller is None:
        return ""
    text = f"choose settings that {step.name} supports: {link.controller.capabilities()}"
    if step.settings.bitrate is None and not link.controller.timing.bitrate:
        text += "; it has no bitrate yet, give vxcan.bitrate"
    return text


@dataclass(frozen=True, slots=True)
class Failures:
    """Settings that controllers did not take.

    A retry may set a controller down and up, and each of that is an event that causes
    another pass: so a permanent failure is not tried again, and others not at once. A
    controller that is re-plugged has another ifindex, and is another step.

    Attributes:
        since: the failure of each step, and when it was, in seconds of the monotonic clock.
    """

    since: Mapping[Step, tuple[Failure, float]] = field(default_factory=dict)

    @staticmethod
    def is_permanent(failure: Failure) -> bool:
        """Whether a controller can never have the settings that it was asked to take."""
        return isinstance(failure.step, ConfigureBus) and failure.code in _PERMANENT

    def not_now(self, now: float) -> dict[Step, Failure]:
        """Return the steps that are not to be tried now."""
        return {
            step: failure
            for step, (failure, when) in self.since.items()
            if self.is_permanent(failure) or now - when < RETRY_AFTER
        }

    def after(self, failed: Mapping[Step, Failure], wanted: Iterable[Step], now: float) -> Failures:
        """Remember what has failed and is still wanted."""
        known = self.not_now(now)
        return Failures(
            {
                step: self.since[step] if step in known else (failed[step], now)
                for step in wanted
                if isinstance(step, ConfigureBus) and step in failed
            }
        )
