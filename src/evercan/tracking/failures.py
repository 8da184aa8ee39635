"""What the kernel refused: what to tell, and what not to try again at once; pure."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evercan.errors import ModuleMissing, spelled, symbol
from evercan.model import Observed
from evercan.plan import Plan
from evercan.steps import ConfigureBus, Failure, MakeBus, MakePair, Step
from evercan.troubles import Problem, Trouble

PATIENCE = 10.0
"""Seconds after which a controller that could not be set up is tried again."""

_FOR_GOOD = frozenset({errno.EINVAL, errno.ERANGE, errno.EDOM, errno.EOPNOTSUPP})
"""What a controller says to settings that it cannot have, now or later."""


def explain(plan: Plan, refused: Mapping[Step, Failure], observed: Observed) -> tuple[Problem, ...]:
    """Turn the steps that are still wanted, and were refused, into problems."""
    return tuple(_problem(step, refused.get(step), observed) for step in plan.steps)


def _problem(step: Step, failure: Failure | None, observed: Observed) -> Problem:
    text = f"could not {step} although the kernel accepted it"
    remedy = "evercan tries again at its next look; the kernel's log (dmesg) may say more"
    kind = Trouble.BUS_SETTINGS if isinstance(step, ConfigureBus) else Trouble.REFUSED
    if failure is not None:
        reason = failure.words.rstrip(".") or spelled(failure.code)
        text = f"could not {step}: {reason} ({symbol(failure.code)})"
        if failure.code == errno.EOPNOTSUPP and isinstance(step, MakeBus | MakePair):
            kind = Trouble.MODULE_MISSING
            missing = ModuleMissing("vcan" if isinstance(step, MakeBus) else "vxcan")
            return Problem(kind=kind, bus=step.bus, endpoint=step.endpoint, text=str(missing))
        if failure.code == errno.EPERM:
            remedy = "grant the plugin CAP_NET_ADMIN (docker plugin enable asks for it)"
    if isinstance(step, ConfigureBus):
        remedy = _what_it_can(step, observed) or remedy
    return Problem(kind=kind, bus=step.bus, endpoint=step.endpoint, text=f"{text}; {remedy}")


def _what_it_can(step: ConfigureBus, observed: Observed) -> str:
    link = observed.links.get(step.name)
    if link is None or link.controller is None:
        return ""
    text = f"what {step.name} can do: {link.controller.capabilities()}"
    if step.settings.bitrate is None and not link.controller.timing.bitrate:
        text += "; it has no bitrate yet, give vxcan.bitrate"
    return text


@dataclass(frozen=True, slots=True)
class Declined:
    """Settings that controllers refused.

    Trying again may set a controller down and up, and each of that is an event that
    asks for another look: so what is refused for good is not tried again, and the rest
    not at once. A controller that is plugged in anew has another ifindex, and is
    another step.

    Attributes:
        since: each step's failure, and when it was, in seconds of a steady clock.
    """

    since: Mapping[Step, tuple[Failure, float]] = field(default_factory=dict)

    def standing(self, now: float) -> dict[Step, Failure]:
        """Return what is not to be tried now."""
        return {
            step: failure
            for step, (failure, when) in self.since.items()
            if failure.code in _FOR_GOOD or now - when < PATIENCE
        }

    def after(
        self, refused: Mapping[Step, Failure], wanted: Iterable[Step], now: float
    ) -> Declined:
        """Remember what was refused and is still wanted."""
        standing = self.standing(now)
        return Declined(
            {
                step: self.since[step] if step in standing else (refused[step], now)
                for step in wanted
                if isinstance(step, ConfigureBus) and step in refused
            }
        )
