"""Fixtures: a daemon that serves, its fake kernel, and the engine that calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import profiles
from tests.support.engine import Engine
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

profiles.load()

KILL_POINTS = pytest.StashKey[Counter[str]]()
"""At how many moments the process was killed, by result."""

ERROR_POINTS = pytest.StashKey[Counter[str]]()
"""At how many places errors were injected, by result."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KILL_POINTS] = Counter()
    config.stash[ERROR_POINTS] = Counter()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tally = config.stash[KILL_POINTS]
    if tally["tried"]:
        terminalreporter.write_line(
            f"kill points: {tally['tried']} tried, {tally['lost']} lost; after "
            f"{tally['unconfirmed']} the state has a network that the engine does not have"
        )
    tally = config.stash[ERROR_POINTS]
    if tally["tried"]:
        terminalreporter.write_line(
            f"error points: {tally['tried']} cases with {tally['injected']} errors, "
            f"{tally['lost']} lost"
        )


@pytest.fixture
def kernel() -> SharedKernel:
    return SharedKernel()


@pytest.fixture
async def plugin(tmp_path: Path, kernel: SharedKernel) -> AsyncIterator[Plugin]:
    served = Plugin(tmp_path, kernel)
    await served.start()
    yield served
    kernel.resume()
    await served.uninstall()


@pytest.fixture
def engine(plugin: Plugin, kernel: SharedKernel) -> Engine:
    return Engine(plugin.socket, kernel)
