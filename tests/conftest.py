"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell that runs the tests in the background ignores SIGINT for them, and so do the
    # programs that they start. Tests of Ctrl-C need Python's handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let a test's report reach the process that prints it, whatever text the test has captured.

    Names of interfaces that are not UTF-8 have surrogates, which pytest-xdist cannot send.
    """
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_sendable(key): _sendable(part) for key, part in value.items()}
        case list() | tuple():
            return type(value)(map(_sendable, value))
        case _:
            return value
