"""Draw what is known of a bus in a line or two: controller, load, errors."""

from __future__ import annotations

from rich.text import Text

from evercan.cli.pages.terminal import verdict_text
from evercan.cli.views import words
from evercan.cli.views.bus_state import BusState, error_facts, load_words
from evercan.cli.views.overview import shown_state

_FULL = 0.8
"""The load from which on a bus is shown as full: frames of low priority wait long there."""


def load_text(state: BusState) -> Text:
    """Draw the load; empty without a bitrate."""
    style = "yellow" if (state.load or 0) >= _FULL else ""
    return Text(load_words(state), style=style)


def errors_text(state: BusState) -> Text:
    """Draw error counters and the last error; empty if there are none."""
    has_errors = state.last_error is not None or any(state.counters or ())
    return Text("  ".join(error_facts(state)), style="yellow" if has_errors else "dim")


def bus_line(state: BusState) -> Text:
    """Draw the bus's interface, its state, its bitrate and its rate."""
    line = Text(state.bus, style="bold")
    network = state.network
    if network is not None:
        line.append("  ")
        line.append_text(verdict_text(network.bus_verdict, shown_state(network.state)))
        if speed := words.speed(network.timing):
            line.append(f"  {speed}")
    if state.rate is not None:
        line.append(f"  {words.rate(state.rate)} frames/s")
    return line


def health_line(state: BusState) -> Text:
    """Draw the bus's load and its errors; empty if nothing is known of them."""
    return Text("  ").join(text for text in (load_text(state), errors_text(state)) if text)
