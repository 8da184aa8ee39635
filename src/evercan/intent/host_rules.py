"""Rules between two interfaces of the host that carry evercan's mark; pure."""

from __future__ import annotations

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.rule import OWNER_MARK, Rule


def marked_rules(declared: Declared, observed: Observed) -> tuple[set[Rule], set[Rule]]:
    """Return the marked rules: those on a bus that is declared, and the others."""
    bus_of = {
        link.index: bus
        for bus, bridged in declared.bridged().items()
        for name in (bus, *bridged)
        if (link := observed.find(name)) is not None
    }
    marked = set(observed.rules.with_extras(OWNER_MARK))
    known = {
        rule
        for rule in marked
        if (bus := bus_of.get(rule.source)) is not None and bus == bus_of.get(rule.target)
    }
    return known, marked - known
