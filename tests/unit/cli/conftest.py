"""What the tests of the command share."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore the pooled connections that the Docker SDK leaves open."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True, scope="package")
def collected() -> Iterator[None]:
    """Collect such connections in the last of these tests, where their warning is ignored."""
    yield
    gc.collect()


def frames_of(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let the host's interfaces have these frames: lines of ``candump -L -x``."""
    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", lambda: iter(lines))
