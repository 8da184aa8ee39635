"""Test that a terminal shows how far a long command is, and that a pipe stays silent."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from evercan.cli.pages import progress as page
from evercan.cli.pages.progress import progress
from tests.support.evercan_host import Host
from tests.unit.cli.conftest import frames_of
from tests.unit.cli.test_top import LINES

_PATIENCE = 10.0


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()

    def terminal(*, stderr: bool) -> Console:
        assert stderr
        return Console(file=written, force_terminal=True, width=80)

    monkeypatch.setattr(page, "console", terminal)
    monkeypatch.setattr(page, "_AFTER", 0.1)
    return written


def wait_for(errors: io.StringIO, words: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while words not in errors.getvalue():
        assert time.monotonic() < deadline, errors.getvalue()
        time.sleep(0.01)


def test_what_is_waited_for_is_shown_after_a_moment(errors: io.StringIO) -> None:
    with progress("restoring the networks") as show:
        assert "restoring" not in errors.getvalue()
        wait_for(errors, "restoring the networks")
        show("7 of 60 s")
        wait_for(errors, "7 of 60 s")
    after = errors.getvalue()
    time.sleep(0.2)
    assert errors.getvalue() == after


def test_what_is_done_at_once_shows_nothing(errors: io.StringIO) -> None:
    with progress("restoring the networks") as show:
        show("1 of 1")
    time.sleep(0.2)
    assert "restor" not in errors.getvalue()
    assert "of 1" not in errors.getvalue()


def test_a_pipe_is_silent(
    powertrain: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr(page, "_AFTER", 0.0)
    frames_of(monkeypatch, *LINES[:5])
    file = tmp_path_factory.mktemp("drive") / "x.log"
    ended = powertrain.run("record", "powertrain", "-o", str(file), "--duration", "0.5")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == "x.log: 3 frames, none lost\n"


def test_record_shows_its_frames_and_the_time_that_is_left(
    errors: io.StringIO,
    powertrain: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    frames_of(monkeypatch, *LINES[:5])
    file = tmp_path_factory.mktemp("drive") / "x.log"
    powertrain.run("record", "powertrain", "-o", str(file), "--duration", "1.5")
    assert "3 frames, 1 of 1.5 s" in errors.getvalue()
