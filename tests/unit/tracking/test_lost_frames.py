"""What a controller loses is told once, and nothing else is taken for a loss."""

from __future__ import annotations

import logging

import pytest

from evercan.model.controller import ControllerSettings
from evercan.model.declared import Declared
from evercan.model.observed import Rule, RuleCount
from evercan.tracking.lost_frames import LostFrames
from tests.support.fake_controllers import MCP251XFD
from tests.support.fake_kernel import FakeKernel
from tests.support.records import network, physical, record

CLASSIC, FD = 0x05, 0x0D
DECLARED = record([physical()])


SETTINGS = ControllerSettings(bitrate=500_000)


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.plug("can0")
    kernel.set_up_controller("can0", SETTINGS)
    return kernel


def drops(index: int, flags: int, frames: int) -> list[tuple[Rule, RuleCount]]:
    return [
        (Rule(20, index, flags), RuleCount(5, frames, 0)),
        (Rule(index, 20, flags), RuleCount(5, 1000, 0)),  # a host end that was down
        (Rule(20, 21, flags), RuleCount(5, 1000, 0)),
    ]


def look(
    losses: LostFrames, kernel: FakeKernel, flags: int, frames: int, declared: Declared = DECLARED
) -> None:
    observed = kernel.observe()
    losses.report(declared, observed, drops(observed.links["can0"].index, flags, frames))


def test_fd_frames_for_a_classic_controller_are_told_once(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    losses = LostFrames()
    for frames in (0, 3, 8, 500):
        look(losses, kernel, FD, frames)
    assert [each.getMessage().split(":")[0] for each in caplog.records] == [
        "3 FD frames that a container sent did not reach the wire"
    ]
    assert "vxcan.fd=on" in caplog.text


def test_a_full_queue_is_told_with_its_length(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    losses = LostFrames()
    for frames in (7, 9):
        look(losses, kernel, CLASSIC, frames)
    (record,) = caplog.records
    assert "7 frames" in record.getMessage()
    assert "(txqueuelen 10) was full" in record.getMessage()


def test_both_kinds_are_told_apart(kernel: FakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    losses = LostFrames()
    look(losses, kernel, CLASSIC, 1)
    look(losses, kernel, FD, 1)
    assert len(caplog.records) == 2


def test_what_is_dropped_while_it_is_down_is_no_loss_of_its_queue(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    losses = LostFrames()
    kernel.set_flag("can0", up=False)
    look(losses, kernel, CLASSIC, 50)
    kernel.set_flag("can0", up=True)
    look(losses, kernel, CLASSIC, 50)
    assert caplog.records == []
    look(losses, kernel, CLASSIC, 51)
    assert "1 frame did" in caplog.text


def test_what_was_dropped_in_an_earlier_life_is_not_told_again(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    losses = LostFrames()
    observed = kernel.observe()
    losses.start(DECLARED, observed, drops(observed.links["can0"].index, CLASSIC, 50))
    look(losses, kernel, CLASSIC, 50)
    assert caplog.records == []
    look(losses, kernel, CLASSIC, 52)
    assert "2 frames did" in caplog.text


def test_one_that_is_plugged_in_anew_is_told_of_anew(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    losses = LostFrames()
    look(losses, kernel, FD, 5)
    kernel.delete("can0")
    losses.report(DECLARED, kernel.observe(), [])
    kernel.plug("can0")
    kernel.set_up_controller("can0", SETTINGS)
    look(losses, kernel, FD, 2)
    assert len(caplog.records) == 2


def test_an_fd_controller_that_drops_fd_frames_has_a_full_queue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kernel = FakeKernel()
    kernel.plug("can0", MCP251XFD)
    kernel.set_up_controller(
        "can0", ControllerSettings(bitrate=500_000, dbitrate=2_000_000, fd=True)
    )
    look(LostFrames(), kernel, FD, 5)
    assert "was full" in caplog.text


def test_buses_without_a_controller_and_controllers_that_are_no_bus_do_not_count(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    look(LostFrames(), kernel, FD, 5, record())
    kernel.make("vcan0", up=True)
    observed = kernel.observe()
    LostFrames().report(
        record([network()]), observed, drops(observed.links["vcan0"].index, CLASSIC, 5)
    )
    assert caplog.records == []


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
