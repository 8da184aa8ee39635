"""What is known of a bus: its controller, how full it is, and its last error; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evercan.cli.views import words
from evercan.cli.views.error_frame import error_words
from evercan.cli.views.frame import Frame
from evercan.cli.views.load import NO_BITRATES, Bitrates
from evercan.cli.views.overview import NetworkView, Overview

_EVENTS = {
    "bus_off": "bus-off",
    "error_passive": "error-passive",
    "error_warning": "error-warning",
    "bus_error": "bus errors",
    "arbitration_lost": "arbitration lost",
    "restarts": "restarts",
}


@dataclass(frozen=True)
class LastError:
    """The last error frame of a bus.

    Attributes:
        stamp: microseconds since 1970.
        text: what it reports.
        count: error frames so far.
    """

    stamp: int
    text: str
    count: int = 1

    @classmethod
    def after(cls, former: LastError | None, stamp: int, frame: Frame) -> LastError:
        """Return what the last error is when another error frame has come."""
        return cls(stamp, error_words(frame), former.count + 1 if former else 1)


@dataclass(frozen=True)
class BusState:
    """A bus at a moment.

    Attributes:
        bus: its interface.
        network: what the plugin reports of it; None if it does not answer.
        bitrates: of the controller, or those that the user has given.
        rate: frames in the last second.
        load: the part of the last second that frames took; None without a bitrate.
        peak: the highest load so far.
        last_error: the last error frame.
        now: microseconds since 1970.
    """

    bus: str
    network: NetworkView | None = None
    bitrates: Bitrates = NO_BITRATES
    rate: float | None = None
    load: float | None = None
    peak: float | None = None
    last_error: LastError | None = None
    now: int = 0

    @property
    def counters(self) -> tuple[int, int] | None:
        """The controller's error counters, sending and receiving, if it has them."""
        errors = (self.network.controller if self.network else {}).get("errors") or {}
        sending, receiving = errors.get("tx"), errors.get("rx")
        return None if sending is None or receiving is None else (sending, receiving)


def network_on(overviews: list[Overview], network: str, bus: str) -> NetworkView | None:
    """Return a network by name, id or the beginning of an id, on this bus."""
    return next(
        (
            found
            for overview in overviews
            for found in overview.networks
            if found.bus == bus and (found.name == network or found.id.startswith(network))
        ),
        None,
    )


def bitrates_of(network: NetworkView | None) -> Bitrates:
    """Return the bitrates of a network's controller, or of its wire."""
    timing = network.timing if network else {}
    return Bitrates(timing.get("bitrate") or 0, timing.get("dbitrate") or 0)


def percent(share: float) -> str:
    """Format a load."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def load_words(state: BusState) -> str:
    """Say how full a bus is; empty without a bitrate."""
    if state.load is None:
        return ""
    peak = f" (peak {percent(state.peak)})" if state.peak is not None else ""
    return f"load {percent(state.load)}{peak}"


def error_facts(state: BusState) -> Iterator[str]:
    """Yield what is known of a bus's errors."""
    if state.counters is not None:
        sending, receiving = state.counters
        yield f"error counters {sending} tx, {receiving} rx"
    if state.last_error is not None:
        ago = words.span((state.now - state.last_error.stamp) / 1_000_000)
        yield f"last error {ago} ago: {state.last_error.text}"
        return
    events = (state.network.controller if state.network else {}).get("events") or {}
    past = [f"{name} {events[key]}" for key, name in _EVENTS.items() if events.get(key)]
    if past:
        yield f"since the driver's start: {', '.join(past)}"


def as_json(state: BusState) -> dict[str, Any]:
    """Return it as fields of a JSON document."""
    error = state.last_error
    counters = state.counters
    return {
        "bus": state.bus,
        "state": state.network.state if state.network else None,
        "bitrate": state.bitrates.nominal or None,
        "dbitrate": state.bitrates.data or None,
        "load": None if state.load is None else round(state.load, 4),
        "errors": None if counters is None else {"tx": counters[0], "rx": counters[1]},
        "error_frames": error.count if error else 0,
        "last_error": error and {"time": error.stamp / 1_000_000, "text": error.text},
    }
