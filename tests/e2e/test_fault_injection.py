"""``evercan fault``: faults do what they say to the frames that they are about, and to no others.

Every member counts every frame. Senders have CAN ids of their own, so that a frame says who
sent it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.faulty_bus import FaultyBus
from tests.e2e.health import assert_no_problems, warnings
from tools.common.polling import wait_until

BUS = "vcan61"
"""A name that no other test uses."""

ROUNDS = 200
"""Frames of each id; bounds are five times the standard deviation of such a count, or more."""


SENDS = {
    "engine": [(0x120, "classic"), (0x220, "classic"), (0x120, "fd")],
    "gateway": [(0x121, "classic")],
    "limited": [(0x122, "classic")],
    "host": [(0x123, "classic")],
}
AFFECTED, AFFECTED_FD = "00000120 classic", "00000120 fd"
SENT_TO_HOST = tuple(
    f"{can_id:08X} {kind}" for name in SENDS if name != "host" for can_id, kind in SENDS[name]
)


@pytest.fixture(scope="module")
def faults(testbed: Testbed, plugin: PluginProcess) -> Iterator[FaultyBus]:
    assert_no_problems(plugin)
    bus = Bus(testbed, BUS)
    created = FaultyBus(testbed, plugin, bus, SENDS)
    try:
        created.access.start("engine")
        created.access.start("gateway")
        created.access.start("limited", {"vxcan.receive": "7F0~7FF"})
        yield created
        assert created.queues() == []
    finally:
        bus.remove()
    assert_no_problems(plugin)


def test_a_loss_is_of_the_named_direction_and_ids_only(faults: FaultyBus) -> None:
    receivers = ("gateway", "limited", "host")
    with faults.set(From="engine", To=" ".join(receivers), Id="120:7F0", Loss="30%"):
        found = faults.traffic(rounds=ROUNDS)
        shown = faults.shown()
    lost = [
        2 * ROUNDS - sum(found["received"][receiver][frame] for frame in (AFFECTED, AFFECTED_FD))
        for receiver in receivers
    ]
    assert lost == pytest.approx(3 * [0.6 * ROUNDS], rel=0.3)
    assert [fault["lost"] for fault in shown] == lost
    faults.assert_unaffected(found, AFFECTED, AFFECTED_FD, receivers=receivers)
    faults.assert_unaffected(faults.traffic(rounds=20))


def test_a_member_with_limits_can_be_the_sender_of_a_fault(faults: FaultyBus) -> None:
    with faults.set(From="limited", Loss="100%"):
        found = faults.traffic(rounds=50)
    lost = "00000122 classic"
    for receiver in ("engine", "gateway", "host"):
        assert lost not in found["received"][receiver]
    faults.assert_unaffected(found, lost, receivers=("engine", "gateway", "host"))


def test_what_a_program_of_the_host_sends_does_not_pass_the_fault_of_its_own_interface(
    faults: FaultyBus,
) -> None:
    sent = "00000123 classic"
    with faults.set(To="host", Loss="100%"):
        found = faults.traffic(rounds=50)
    assert found["received"]["host"] == {}
    faults.assert_unaffected(found, *SENT_TO_HOST, receivers=("host",))
    with faults.set(Loss="50%"):
        found = faults.traffic(rounds=ROUNDS)
    for receiver in ("engine", "gateway", "limited"):
        assert found["received"][receiver][sent] == pytest.approx(ROUNDS / 2, abs=40)


def test_a_delay_with_jitter(faults: FaultyBus) -> None:
    with faults.set(To="gateway", From="engine", Delay="300ms", Jitter="100ms", Id="120"):
        found = faults.traffic(rounds=100)
    shortest, longest = found["took"]["gateway"][AFFECTED]
    assert 0.2 <= shortest < 0.3
    assert 0.3 < longest < 2  # a busy machine reads some frames late
    assert found["took"]["gateway"]["00000220 classic"][0] < 0.1
    assert found["took"]["limited"][AFFECTED][0] < 0.1
    faults.assert_unaffected(found)


def test_duplicates_and_corruption(faults: FaultyBus) -> None:
    with faults.set(To="gateway", From="engine", Id="120", Duplicate="20%"):
        found = faults.traffic(rounds=ROUNDS)
    assert found["received"]["gateway"][AFFECTED] / ROUNDS == pytest.approx(1.2, abs=0.14)
    assert found["double"]["gateway"] > ROUNDS / 10
    faults.assert_unaffected(found, AFFECTED, AFFECTED_FD, receivers=("gateway",))
    with faults.set(To="engine", From="host", Corrupt="100%"):
        found = faults.traffic(rounds=50)
    # One bit of the number, the id, the length or the padding of each frame is inverted.
    intact = found["took"]["engine"].get("00000123 classic")
    assert sum(found["received"]["engine"].values()) > 2 * 50
    assert intact is None or found["received"]["engine"]["00000123 classic"] < 50
    for receiver in ("gateway", "limited"):
        assert found["received"][receiver]["00000123 classic"] == 50


def test_what_is_impossible_is_rejected_with_its_reason(faults: FaultyBus) -> None:
    for fields, reason in (
        ({"Loss": "5"}, "option --loss='5': is not a percentage"),
        ({"Delay": "20"}, "option --delay='20': is not a duration"),
        ({}, "the fault has no effect"),
        ({"To": "host", "Delay": "20ms"}, f"{BUS} is a vcan"),
        ({"Loss": "5%", "Id": "123~7FF"}, "option --id="),
    ):
        status, answer = faults.post("fault-set", **fields)
        assert status == 400
        assert reason in answer["Err"]
    end = faults.access.host_end("gateway")
    faults.testbed.host("tc", "qdisc", "add", "dev", end, "root", "handle", "7:", "prio")
    status, answer = faults.post("fault-set", To="gateway", Loss="5%")
    assert status == 500
    assert f"tc qdisc del dev {end} root" in answer["Err"]
    assert faults.queues() == [end], "a queue of somebody else must stay"
    faults.testbed.host("tc", "qdisc", "del", "dev", end, "root")
    assert_no_problems(faults.plugin)


def test_faults_outlive_the_plugin_and_repairs_and_cover_who_joins(
    faults: FaultyBus, plugin: PluginProcess
) -> None:
    with faults.set(Id="220", Loss="100%"):
        plugin.kill()
        assert_no_problems(plugin)
        assert warnings(plugin, BUS) == ["fault-injected"]
        end = faults.access.host_end("gateway")
        faults.testbed.host("tc", "qdisc", "del", "dev", end, "root")
        wait_until(lambda: end in faults.queues(), 20, "the queue to be restored")
        faults.access.start("late")
        found = faults.traffic(rounds=20)
        faults.access.containers.pop("late").remove(force=True)
        del faults.access.members["late"]
    lost = "00000220 classic"
    for receiver in ("gateway", "limited", "host", "late"):
        assert lost not in found["received"][receiver]
        assert found["received"][receiver][AFFECTED] == 20
    assert faults.queues() == []


def test_the_command_sets_shows_and_clears_and_a_fault_ends_by_itself(
    faults: FaultyBus, command: Command
) -> None:
    name = str(faults.access.containers["gateway"].name)
    status, text = command.run(
        *("fault", "set", faults.bus.name, "--to", name, "--loss", "50%", "--for", "20s")
    )
    assert (status, f"frames to {name}: loss 50% (ends in" in text) == (0, True), text
    status, text = command.run("fault", "show")
    assert (status, f"frames to {name}: loss 50%" in text) == (0, True), text
    wait_until(lambda: faults.queues() == [], 30, "the fault to end")
    assert warnings(faults.plugin, BUS) == []
    status, text = command.run("fault", "clear", faults.bus.name)
    assert (status, text) == (0, "no faults are set\n")
