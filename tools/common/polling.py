"""Polling: try something again and again until it works or the time is over."""

import time
from collections.abc import Callable, Iterator


def attempts(seconds: float, interval: float) -> Iterator[float]:
    """Yield at once, then every ``interval`` seconds until ``seconds`` have passed.

    The loop's body leaves the loop when its attempt succeeded; behind the loop the time is over.
    There is at least one attempt, and one at the very end of the time.

    Yields:
        The seconds that are left, 0 in the last attempt.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = max(deadline - time.monotonic(), 0.0)
        yield left
        if not left:
            return
        time.sleep(min(interval, max(deadline - time.monotonic(), 0.0)))


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Poll every 0.2 s until a condition is true; return the seconds it took.

    Args:
        condition: Returns True when the wait is over.
        seconds: How long to wait at most.
        what: What is waited for, for the error's message.

    Raises:
        TimeoutError: The condition did not become true in time.
    """
    started = time.monotonic()
    for _ in attempts(seconds, 0.2):
        if condition():
            return time.monotonic() - started
    raise TimeoutError(f"timed out after {seconds:.0f} s while waiting for {what}")
