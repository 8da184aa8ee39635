"""examples/healthcheck by a real ``docker compose``: first the bus, then the application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.compose import Project
from lab.testbed import Testbed
from tools.common.polling import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

FILE = Path(__file__).parents[2] / "examples/healthcheck/compose.yaml"
READY, STARTED = "can0 is ready", "can0 is ready: starting candump"


@pytest.fixture
def project(lab: Testbed) -> Iterator[Project]:
    example = Project(lab, FILE, "evercan-healthcheck")
    assert example.by_compose, "the lab has Debian's docker-compose"
    try:
        yield example
    finally:
        example.down()


def said(container: Container, line: str, since: float) -> list[datetime]:
    """When a container wrote a line, by the engine's clock."""
    stamped = container.logs(timestamps=True, since=since).decode().splitlines()
    return [moment(each.split()[0]) for each in stamped if each.partition(" ")[2].startswith(line)]


def moment(stamp: str) -> datetime:
    """Read one of the engine's time stamps, of which Python takes microseconds only."""
    match = re.match(r"(.{19})\.?(\d{0,6})\d*(Z|[+-].*)?$", stamp)
    assert match, stamp
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return whole.replace(microsecond=int(match[2].ljust(6, "0")))


def assert_bus_came_first(project: Project, since: float) -> None:
    """Assert that both said so once, the sidecar first, and that the bus has frames by then."""
    bus, app = project.container("bus"), project.container("app")
    wait_until(lambda: bool(said(app, STARTED, since)), 60, "the application to start")
    [ready] = said(bus, READY, since)
    [started] = said(app, STARTED, since)
    assert ready < started


def assert_hears(lab: Testbed, project: Project) -> None:
    app = project.container("app")

    def heard() -> bool:
        lab.host("cansend", "vcan0", "321#C0FFEE")
        return b"321#C0FFEE" in app.logs(tail=5)

    wait_until(heard, 30, "a frame of the host at the application")


def test_the_application_waits_for_its_bus_whoever_starts_it(
    lab: Testbed, project: Project
) -> None:
    since = lab.now()
    project.up()
    assert_bus_came_first(project, since)
    # Compose's part: the application was not even started before the probe had succeeded.
    health = project.container("bus").attrs["State"]["Health"]["Log"]
    first = min(moment(each["End"]) for each in health if each["ExitCode"] == 0)
    assert first <= moment(project.container("app").attrs["State"]["StartedAt"])
    assert_hears(lab, project)

    # The engine's part: it starts both in any order, and the marker is gone with the memory.
    lab.host("sync")
    before = lab.now()
    lab.power_cut()
    project.wait_running()
    assert_bus_came_first(project, before)
    assert_hears(lab, project)

    # Without the sidecar the application waits, however often it is started.
    bus, app = project.container("bus"), project.container("app")
    bus.stop()
    before = lab.now()
    app.restart(timeout=1)
    app.reload()
    assert app.status == "running"
    assert said(app, STARTED, before) == []
    bus.start()
    assert_bus_came_first(project, before)
