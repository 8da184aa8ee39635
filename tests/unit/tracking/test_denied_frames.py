"""What filters have denied, added up from observation to observation."""

from __future__ import annotations

import logging

import pytest

from evercan.model.access import Access, FilterCount
from evercan.model.declared import Declared
from evercan.model.observed import Link, Observed
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.tracking.denied_frames import Denied, DeniedFrames
from evercan.tracking.frame_counters import FrameCounters
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network

BUS, HOST_END, BETWEEN = 1, 2, 3


def limited() -> Declared:
    """Return a bus with a member that has limits."""
    member = replace(endpoint("aa"), access=Access(send="123"))
    return declare([network()], [member])


def observed(sent: FilterCount, received: FilterCount) -> Observed:
    """Return what the kernel shows with these counters."""
    links = [
        Link(index=BUS, name="vcan0", kind="vcan"),
        Link(index=HOST_END, name="vxcanaa", kind="vxcan"),
        Link(index=BETWEEN, name="vxcanaaf", kind="vcan"),
    ]
    return Observed(
        links={link.name: link for link in links},
        filter_counts={HOST_END: sent, BETWEEN: received},
    )


def test_sums_grow_by_what_came_since_and_survive_replaced_filters() -> None:
    denied = DeniedFrames()
    for counts, sums in (
        ((FilterCount(3, 1), FilterCount(5)), Denied(3, 5, 1)),
        ((FilterCount(4, 1), FilterCount(5)), Denied(4, 5, 1)),
        ((FilterCount(1, 0), FilterCount(6)), Denied(5, 6, 1)),
    ):
        assert denied.add(limited(), observed(*counts)) == {"aa": sums}
    assert denied.add(declare([network()]), Observed()) == {}


def test_what_a_filter_interface_denies_is_not_lost_for_the_member() -> None:
    denied, frames = DeniedFrames(), FrameCounters()
    rule = Rule(BUS, BETWEEN, 4)
    declared = limited()
    seen = observed(FilterCount(), FilterCount(denied=8))
    denied.add(declared, seen)
    found = frames.add(
        declared, seen, RuleCounts([(rule, RuleCount(2, 5, 0))]), denied.unattributed
    )
    assert found.of_endpoint("aa").received == 2
    assert found.of_endpoint("aa").dropped == 0
    denied.add(declared, seen)  # the rest is taken off once the rules have counted it
    found = frames.add(
        declared, seen, RuleCounts([(rule, RuleCount(2, 9, 0))]), denied.unattributed
    )
    assert found.of_endpoint("aa").dropped == 1
    assert found.of_bus("vcan0")["from_bus"] == RuleCount(2, 1, 0)


def test_each_kind_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    denied = DeniedFrames()
    denied.report(limited(), observed(FilterCount(), FilterCount()))
    assert caplog.records == []
    for number in (1, 2):
        denied.report(limited(), observed(FilterCount(number, number), FilterCount(number)))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert all("vxcanaa" in record.getMessage() for record in caplog.records)
