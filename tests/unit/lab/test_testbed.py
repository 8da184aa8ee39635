"""Whether tests use the lab is known before anything is booted."""

from __future__ import annotations

import pytest

from lab import recipe, testbed


@pytest.mark.parametrize(
    ("forced", "guest", "lab"),
    [
        pytest.param("", "", True, id="no engine"),
        pytest.param("", "bookworm", True, id="a guest is named"),
        pytest.param("lab", "", True, id="the lab is forced"),
        pytest.param("engine", "", False, id="the engine is forced"),
    ],
)
def test_is_lab(monkeypatch: pytest.MonkeyPatch, *, forced: str, guest: str, lab: bool) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv(testbed.VARIABLE, forced)
    monkeypatch.setenv(recipe.VARIABLE, guest)
    assert testbed.is_lab() is lab
