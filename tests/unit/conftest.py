"""What all unit tests share."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import profiles
from tests.support.evercan_host import Host

profiles.load()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the Docker SDK leave its pooled connections to the garbage collector, as it does."""
    for item in items:
        if item.path.name.startswith("test_cli"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture
def host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    """A host for the command; DOCKER_HOST names its engine."""
    with ExitStack() as stack:
        made = Host(tmp_path, stack, capsys)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{made.engine_socket}")
        yield made
