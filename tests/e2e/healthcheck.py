"""Checks on examples/healthcheck: the application starts after its bus is ready."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lab.compose import Project
from lab.testbed import Testbed
from tools.common.polling import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

FILE = Path(__file__).parents[2] / "examples/healthcheck/compose.yaml"
READY, STARTED = "can0 is ready", "can0 is ready: starting candump"


def healthcheck_project(testbed: Testbed) -> Project:
    """Return the example as a project that ``docker compose`` brings up."""
    project = Project(testbed, FILE, "evercan-healthcheck")
    assert project.by_compose, "the lab has Debian's docker-compose"
    return project


def line_times(container: Container, line: str, since: float) -> list[datetime]:
    """Return when a container logged a line, by the engine's clock."""
    stamped = container.logs(timestamps=True, since=since).decode().splitlines()
    return [
        parse_time(entry.split()[0])
        for entry in stamped
        if entry.partition(" ")[2].startswith(line)
    ]


def parse_time(stamp: str) -> datetime:
    """Read one of the engine's time stamps, of which Python accepts only microseconds."""
    match = re.match(r"(.{19})\.?(\d{0,6})\d*(Z|[+-].*)?$", stamp)
    assert match, stamp
    seconds = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return seconds.replace(microsecond=int(match[2].ljust(6, "0")))


def assert_bus_was_ready_first(project: Project, since: float) -> None:
    """Assert that the bus was ready once, and that the application started once, after it."""
    bus, app = project.container("bus"), project.container("app")
    wait_until(lambda: bool(line_times(app, STARTED, since)), 60, "the application to start")
    [ready] = line_times(bus, READY, since)
    [started] = line_times(app, STARTED, since)
    assert ready < started


def assert_app_receives(testbed: Testbed, project: Project) -> None:
    """Assert that the application receives the host's frames."""
    app = project.container("app")

    def received() -> bool:
        testbed.host("cansend", "vcan0", "321#C0FFEE")
        return b"321#C0FFEE" in app.logs(tail=5)

    wait_until(received, 30, "a frame of the host at the application")
