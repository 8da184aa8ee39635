"""Every log call names what its line is about, unless it is about the process as a whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src/evercan"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}

ABOUT_THE_PROCESS = {
    "Cannot start: %s",
    "evercan serves %d networks",
    "evercan stops; all interfaces stay as they are",
    "The host was rebooted: restoring %d networks",
    "Health check OK: %d networks, %d endpoints",
    "Health check FAILED: %s",  # the kernel cannot be observed
    "State file %s is damaged (%s), set aside as %s",
    "State restored from the last good copy",
    "No good copy of the state is left",
    "The task '%s' ended and is restarted",
    "An observation failed; report it",
    "A reconcile pass could not run; report it",
    "%s met a bug in evercan; report it with the lines that follow",  # a page
    "Could not roll back a failed call yet: %s",  # the line names the call
    "Cannot load what is declared: %s",
    "%s; tried again every",  # an address for the metrics
    "Metrics are served at",
    "The kernel does not show /proc/net/can/stats",
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if {"cli", "link"}.intersection(path.relative_to(SOURCE).parts):
            continue  # the command prints, and a link has one bus only
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=attr)) if (
                    attr in LEVELS
                ):
                    yield f"{path.name}:{node.lineno}", node


def test_every_log_call_names_what_it_is_about() -> None:
    found = dict(calls())
    assert len(found) > 30
    used = set()
    for place, call in found.items():
        if any(keyword.arg == "extra" for keyword in call.keywords):
            continue
        message = call.args[0]
        assert isinstance(message, ast.Constant), place
        known = [start for start in ABOUT_THE_PROCESS if str(message.value).startswith(start)]
        assert len(known) == 1, f"{place}: {message.value!r} has no extra=about(…)"
        used.add(known[0])
    assert used == ABOUT_THE_PROCESS
