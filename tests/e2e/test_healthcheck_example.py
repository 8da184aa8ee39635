"""examples/healthcheck with a real ``docker compose``: the application waits for its bus.

``test_power_cuts.py`` has the same after a power cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.compose import Project
from lab.testbed import Testbed
from tests.e2e.healthcheck import (
    STARTED,
    assert_app_receives,
    assert_bus_was_ready_first,
    healthcheck_project,
    line_times,
    parse_time,
)


@pytest.fixture
def project(lab: Testbed) -> Iterator[Project]:
    example = healthcheck_project(lab)
    try:
        yield example
    finally:
        example.down()


def test_the_application_waits_for_its_bus_whoever_starts_it(
    lab: Testbed, project: Project
) -> None:
    since = lab.now()
    project.up()
    assert_bus_was_ready_first(project, since)
    # Compose's part: the application was not even started before the probe had succeeded.
    probes = project.container("bus").attrs["State"]["Health"]["Log"]
    first = min(parse_time(probe["End"]) for probe in probes if probe["ExitCode"] == 0)
    assert first <= parse_time(project.container("app").attrs["State"]["StartedAt"])
    assert_app_receives(lab, project)

    # Without the sidecar the application waits, however often it is started.
    bus, app = project.container("bus"), project.container("app")
    bus.stop()
    before = lab.now()
    app.restart(timeout=1)
    app.reload()
    assert app.status == "running"
    assert line_times(app, STARTED, before) == []
    bus.start()
    assert_bus_was_ready_first(project, before)
