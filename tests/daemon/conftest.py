"""A daemon that serves, its kernel, and the engine that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import profiles
from tests.support.engine import Engine
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

profiles.load()


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
