"""Frames that a controller loses are logged once, and nothing else counts as a loss."""

from __future__ import annotations

import logging

import pytest

from evercan.model.controller import ControllerSettings
from evercan.model.declared import Declared
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.tracking.lost_frames import LostFrames, has_controllers
from evercan.values import replace
from tests.support.declarations import declare, network, physical
from tests.support.fake_controllers import MCP251XFD
from tests.support.fake_kernel import FakeKernel

CLASSIC, FD = 0x05, 0x0D
DECLARED = declare([physical()])


SETTINGS = ControllerSettings(bitrate=500_000)


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.plug("can0")
    kernel.configure_controller("can0", SETTINGS)
    return kernel


def drops(index: int, flags: int, frames: int) -> RuleCounts:
    counted = [
        (Rule(20, index, flags), RuleCount(5, frames, 0)),
        (Rule(index, 20, flags), RuleCount(5, 1000, 0)),  # a host end that was down
        (Rule(20, 21, flags), RuleCount(5, 1000, 0)),
    ]
    return RuleCounts(counted)


def report(
    lost_frames: LostFrames,
    kernel: FakeKernel,
    flags: int,
    frames: int,
    declared: Declared = DECLARED,
) -> None:
    observed = kernel.observe()
    lost_frames.report(declared, observed, drops(observed.links["can0"].index, flags, frames))


def test_fd_frames_for_a_classic_controller_are_logged_once(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    for frames in (0, 3, 8, 500):
        report(lost_frames, kernel, FD, frames)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "3 FD frames that a container sent did not reach the wire"
    ]
    assert "vxcan.fd=on" in caplog.text


def test_a_full_queue_is_logged_with_its_length(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    for frames in (7, 9):
        report(lost_frames, kernel, CLASSIC, frames)
    (record,) = caplog.records
    assert "7 frames" in record.getMessage()
    assert "(txqueuelen 10) was full" in record.getMessage()


def test_classic_and_fd_frames_are_logged_separately(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    report(lost_frames, kernel, CLASSIC, 1)
    report(lost_frames, kernel, FD, 1)
    assert len(caplog.records) == 2


def test_frames_dropped_while_the_controller_is_down_are_no_loss_of_its_queue(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    kernel.set_flag("can0", up=False)
    report(lost_frames, kernel, CLASSIC, 50)
    kernel.set_flag("can0", up=True)
    report(lost_frames, kernel, CLASSIC, 50)
    assert caplog.records == []
    report(lost_frames, kernel, CLASSIC, 51)
    assert "1 frame did" in caplog.text


def test_frames_dropped_before_the_process_started_are_not_logged(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    observed = kernel.observe()
    lost_frames.start(DECLARED, observed, drops(observed.links["can0"].index, CLASSIC, 50))
    report(lost_frames, kernel, CLASSIC, 50)
    assert caplog.records == []
    report(lost_frames, kernel, CLASSIC, 52)
    assert "2 frames did" in caplog.text


def test_a_controller_that_is_plugged_in_again_is_logged_again(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    lost_frames = LostFrames()
    report(lost_frames, kernel, FD, 5)
    kernel.delete("can0")
    lost_frames.report(DECLARED, kernel.observe(), RuleCounts())
    kernel.plug("can0")
    kernel.configure_controller("can0", SETTINGS)
    report(lost_frames, kernel, FD, 2)
    assert len(caplog.records) == 2


def test_an_fd_controller_that_drops_fd_frames_has_a_full_queue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kernel = FakeKernel()
    kernel.plug("can0", MCP251XFD)
    kernel.configure_controller(
        "can0", ControllerSettings(bitrate=500_000, dbitrate=2_000_000, fd=True)
    )
    report(LostFrames(), kernel, FD, 5)
    assert "was full" in caplog.text


def test_only_controllers_that_are_buses_count(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    report(LostFrames(), kernel, FD, 5, declare())
    kernel.make("vcan0", up=True)
    observed = kernel.observe()
    LostFrames().report(
        declare([network()]), observed, drops(observed.links["vcan0"].index, CLASSIC, 5)
    )
    assert caplog.records == []


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


def test_frames_that_a_bridged_controller_loses_are_logged_with_its_name(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.make("vcan0", up=True)
    declared = declare([replace(network(), bridge=("can0",))])
    assert has_controllers(declared, kernel.observe())
    report(LostFrames(), kernel, FD, 3, declared)
    assert "3 FD frames" in caplog.text
    assert "can0 is set to classic frames" in caplog.text


def test_a_classic_controller_that_gets_fd_frames_is_warned_of_until_it_has_fd_or_is_unplugged(
    kernel: FakeKernel,
) -> None:
    lost_frames = LostFrames()

    def warned() -> list[tuple[str, str]]:
        return [
            (warning.kind.value, warning.bus)
            for warning in lost_frames.warnings(DECLARED, kernel.observe())
        ]

    report(lost_frames, kernel, CLASSIC, 4)
    assert warned() == []  # a controller without FD is no problem, nor is a full queue
    report(lost_frames, kernel, FD, 4)
    assert warned() == [("bus-no-fd", "can0")]
    kernel.alter(kernel.link("can0").index, mtu=72)
    assert warned() == []
    kernel.alter(kernel.link("can0").index, mtu=16)
    kernel.delete("can0")
    assert warned() == []
