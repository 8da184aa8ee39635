"""Polling, on a clock that the tests control."""

from __future__ import annotations

import pytest

from tools.common import polling
from tools.common.polling import attempts, wait_until


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    return clock


def test_attempts_are_made_at_once_then_regularly_and_at_the_end() -> None:
    assert list(attempts(1.0, 0.4)) == pytest.approx([1.0, 0.6, 0.2, 0.0])


def test_there_is_one_attempt_without_any_time() -> None:
    assert list(attempts(0, 1)) == [0]


def test_wait_until_returns_the_seconds_it_took(clock: Clock) -> None:
    assert wait_until(lambda: clock.now > 100.5, 5, "the time") == pytest.approx(0.6)


def test_wait_until_names_what_did_not_happen() -> None:
    with pytest.raises(TimeoutError, match="timed out after 2 s while waiting for rain"):
        wait_until(lambda: False, 2, "rain")
