"""What the tests of the command share."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evercan
from evercan.cli.access.host import LocalHost
from evercan.cli.access.program import LocalProgram
from tests.support import fake_player
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import network_document, status_document


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


def frames_of(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[dict[str, bool]]:
    """Let the host's interfaces have these frames: lines of ``candump -L -x``.

    Returns how they are asked for.
    """
    asked: list[dict[str, bool]] = []

    def frames(**how: bool) -> Iterator[str]:
        asked.append(how)
        return iter(lines)

    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", frames)
    return asked


class FakeBus:
    """The interfaces of a host, to which frames are sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def player(interface: str) -> LocalProgram:
        """Start the program that sends frames on an interface."""
        return LocalProgram(sys.executable, fake_player.__file__, interface)

    def lines(self, interface: str = "vcan0") -> list[tuple[int, str]]:
        """Return when, in microseconds, and what was sent on an interface."""
        file = self._folder / interface
        if not file.exists():
            return []
        lines = (line.split() for line in file.read_text().splitlines())
        return [(int(stamp), text) for stamp, text in lines]

    def sent(self, interface: str = "vcan0") -> list[tuple[int, str]]:
        """Return the same with times after the first."""
        lines = self.lines(interface)
        return [(stamp - lines[0][0], text) for stamp, text in lines]

    def texts(self, interface: str = "vcan0") -> list[str]:
        return [text for _, text in self.sent(interface)]


@pytest.fixture
def fake_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBus:
    """Let the command send frames to files."""
    folder = tmp_path / "sent"
    folder.mkdir()

    monkeypatch.setenv("FAKE_BUS", str(folder))
    root = Path(evercan.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{Path(fake_player.__file__).parents[2]}")
    bus = FakeBus(folder)
    monkeypatch.setattr(LocalHost, "player", lambda _, interface: bus.player(interface))
    return bus


@pytest.fixture
def powertrain(host: Host) -> Host:
    """Return a host with the network powertrain on vcan0, and the container dashboard on it."""
    members = {"dashboard": engine_id("dashboard")}
    host.engine(
        [network_entry(engine_id("powertrain"), "powertrain", members)],
        [plugin_entry("evercan:latest")],
    )
    host.plugin(status_document(network_document("powertrain", 1)))
    return host
