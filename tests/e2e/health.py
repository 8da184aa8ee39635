"""What the plugin's ``/health`` reports."""

from __future__ import annotations

from lab.plugin_process import PluginProcess


def reasons(plugin: PluginProcess) -> list[tuple[str, str]]:
    """Return the reasons of ``/health``: kind, and text with remedy."""
    _, answer = plugin.ask("/health")
    return [
        (reason["kind"], f"{reason['text']}; {reason['remedy']}") for reason in answer["reasons"]
    ]


def assert_no_problems(plugin: PluginProcess) -> None:
    """Assert that the plugin is healthy; it may have warnings."""
    status, answer = plugin.ask("/health")
    assert (status, answer["healthy"], answer["reasons"]) == (200, True, [])


def warnings(plugin: PluginProcess, bus: str) -> list[str]:
    """Return the kinds of the warnings that ``/health`` has about a bus."""
    _, answer = plugin.ask("/health")
    return [warning["kind"] for warning in answer["warnings"] if warning["bus"] == bus]
