"""What the full-screen applications show in a test."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from evercan.cli.pages.live_app import LiveApp

PATIENCE = 30.0
"""Seconds that a busy machine may take to draw."""


def text_of(app: LiveApp, widget: str) -> str:
    """Return the lines of a part of the screen."""
    shown = app.query_one(widget, Static)
    return "\n".join(
        "".join(segment.text for segment in shown.render_line(y)) for y in range(shown.size.height)
    )


async def until(app: LiveApp, pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait until the screen is as it should be."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        await pilot.pause(0.02)
        if true():
            return
    pytest.fail(f"the screen shows {text_of(app, '#head')}\n{text_of(app, '#page')}")
