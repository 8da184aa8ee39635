"""Every request to the kernel and every file operation fails, one time and for a while.

Each scenario of the kill points is run with an error at each such place. The plugin must
answer, keep what it has confirmed, roll back what it has rejected, and restore everything
without a further call when the error is gone.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from evercan.libnetwork import transaction
from evercan.tracking import backoff, failures
from tests.daemon.conftest import ERROR_POINTS
from tests.daemon.test_kill_points import (
    SCENARIOS,
    Scenario,
    after,
    check,
    everything,
    start_another_container,
    three_containers,
)
from tests.support.crashing_host import CrashingHost
from tests.support.error_points import ERRORS, ErrorPoint, files_with_error_points
from tests.support.failing_host import FailingHost

LONG = os.environ.get("EVERCAN_HYPOTHESIS") == "long"

ALWAYS = 1 << 30

TIMES = (1, 2, 3, 5, 8, ALWAYS) if LONG else (1, ALWAYS)
"""How many places of one part fail in a row; the last: until the engine has had its answers."""

CODES = max(map(len, ERRORS.values())) if LONG else 1
"""How many of the errors are tried at each place; place and times decide which ones."""


def adopt(host: CrashingHost) -> None:
    assert isinstance(host, FailingHost)
    host.rejected.clear()
    host.adopt()
    if host.rejected:  # the operator tries again when the cause is gone
        host.point.disarm()
        host.adopt()


def lose_state(host: CrashingHost) -> None:
    three_containers(host)
    host.kill_plugin()
    for file in host.folder.iterdir():
        file.unlink()
    host.start_plugin()


def reboot(host: CrashingHost) -> None:
    three_containers(host)
    host.kill_plugin()
    host.kernel.reboot("boot-2")
    host.make_foreign_interfaces()


def start_after_reboot(host: CrashingHost) -> None:
    host.start_plugin()
    for endpoint in list(host.attachments):
        host.leave(endpoint)
        host.delete_endpoint(endpoint)


MORE: dict[str, Scenario] = {
    "adopt": Scenario(before=lose_state, act=adopt, again=start_another_container),
    "start: after a reboot": Scenario(
        before=reboot, act=start_after_reboot, again=start_another_container
    ),
    "a check of a healthy host": Scenario(before=three_containers, act=check),
    "pages of a damaged host": Scenario(
        before=after(everything),
        act=lambda host: host.read_pages(),  # type: ignore[attr-defined] # a FailingHost
    ),
}


def run_with_errors(
    scenario: Scenario, host: FailingHost, number: int, times: int, code: int
) -> None:
    """Let places fail during a scenario, and verify that the host heals by itself."""
    scenario.before(host)
    host.rejected.clear()
    host.point.arm(number, times, code)
    scenario.act(host)
    (scenario.unanswered if host.rejected else scenario.answered)(host)
    host.call(host.queue.check())  # whatever was changed caused events
    host.read_pages()
    host.point.disarm()
    host.heal()
    host.verify()
    scenario.again(host)
    host.verify()
    assert not host.degraded, "an endpoint stays broken"
    host.remove_all()
    host.kill_plugin()


ALL = {
    name: scenario for name, scenario in SCENARIOS.items() if "while the plugin is down" not in name
} | MORE


@pytest.mark.parametrize("name", ALL)
def test_an_error_at_any_place_loses_nothing(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pytestconfig: pytest.Config,
) -> None:
    caplog.set_level(logging.CRITICAL)  # thousands of lines
    monkeypatch.setattr(transaction, "_ROLLBACK_WAIT", 0.0)
    monkeypatch.setattr(failures, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(backoff, "FIRST", 0.001)
    tally = pytestconfig.stash[ERROR_POINTS]
    lost: list[str] = []
    for number in count(1):
        for times, turn in ((times, turn) for times in TIMES for turn in range(CODES)):
            folder = tmp_path / f"{number}-{times}-{turn}"
            folder.mkdir()
            point = ErrorPoint()
            with files_with_error_points(point, folder):
                host = FailingHost(folder, point)
                try:
                    run_with_errors(ALL[name], host, number, times, number + (times > 1) + turn)
                except Exception as error:  # noqa: BLE001 - reported below, with its place
                    lost.append(f"place {number}, {times} times, {point.injected[:3]}: {error!r}")
                    with suppress(Exception):
                        host.kill_plugin()
            tally["tried"] += 1
            tally["injected"] += len(point.injected)
        if not point.injected:
            break
    tally["lost"] += len(lost)
    assert not lost, "\n".join(lost)
