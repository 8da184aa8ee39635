"""What the page of ``evercan web`` shows, as JSON documents; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evercan.cli.views import words
from evercan.cli.views.bus_state import BusState, bitrates_of, error_facts
from evercan.cli.views.bus_traffic import BusTraffic
from evercan.cli.views.decoding import Decoded, SignalValue, finite
from evercan.cli.views.ids import IdView
from evercan.cli.views.load import NO_BITRATES, Bitrates
from evercan.cli.views.overview import (
    MemberView,
    NetworkView,
    Overview,
    ProblemView,
    Verdict,
    shown_state,
)
from evercan.cli.views.rates import Rates
from evercan.cli.views.topology import BusView, buses, denied_of, style_of

_FAULT = "fault"
"""Problem kinds of injected faults begin like this."""


def plugins(overviews: Sequence[Overview]) -> list[dict[str, Any]]:
    """Return the plugins."""
    return [
        {
            "name": overview.plugin,
            "version": overview.version,
            "recovery": overview.recovery,
            "verdict": overview.verdict,
        }
        for overview in overviews
    ]


def problems(overviews: Sequence[Overview]) -> list[dict[str, Any]]:
    """Return all problems, then all warnings, each with its remedy."""
    return [
        *_problems(overviews, Verdict.FAIL),
        *_problems(overviews, Verdict.WARN),
    ]


def _problems(overviews: Sequence[Overview], verdict: Verdict) -> Iterator[dict[str, Any]]:
    failed = verdict is Verdict.FAIL
    for overview in overviews:
        for network in overview.networks:
            for problem in network.all_problems if failed else network.all_warnings:
                yield _problem(problem, network.name, verdict)
        for problem in overview.other_problems if failed else overview.other_warnings:
            yield _problem(problem, overview.plugin, verdict)


def _problem(problem: ProblemView, about: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "about": about,
        "kind": problem.kind,
        "text": problem.sentence,
        "remedy": problem.remedy,
    }


def bus_documents(
    overviews: Sequence[Overview],
    rates: Rates,
    traffic: Mapping[str, BusTraffic],
    now: int,
) -> list[dict[str, Any]]:
    """Return the buses with their members.

    Args:
        overviews: the plugins.
        rates: what their counters say.
        traffic: what was seen, by bus interface.
        now: microseconds since 1970.
    """
    networks = [network for overview in overviews for network in overview.networks]
    documents = []
    for bus in buses(networks):
        own = [network for network in networks if network.name in bus.networks]
        first = next((network for network in own if network.bus == bus.interface), None)
        documents.append(_bus(bus, first, rates, traffic.get(bus.interface), now))
    return documents


def _bus(
    bus: BusView, network: NetworkView | None, rates: Rates, seen: BusTraffic | None, now: int
) -> dict[str, Any]:
    last = seen.history[-1] if seen and seen.history else None
    state = BusState(
        bus.interface,
        network,
        seen.bitrates if seen else NO_BITRATES,
        last_error=seen.last_error if seen else None,
        now=now,
    )
    counted = rates.bus.get(network.id) if network else None
    faults = [warning for warning in network.all_warnings if is_fault(warning)] if network else []
    return {
        "interface": bus.interface,
        "networks": bus.networks,
        "kind": bus.kind,
        "speed": bus.speed or words.speed({"bitrate": state.bitrates.nominal}),
        "state": shown_state(bus.state),
        "verdict": bus.verdict,
        "faults": len(faults),
        "moment": last.time if last else None,
        "rate": last.rate if last else counted,
        "load": last.load if last else None,
        "peak": seen.peak if seen else None,
        "facts": list(error_facts(state)) if network else [],
        "bridge": [{"name": one.caption, "verdict": one.verdict} for one in bus.bridge],
        "members": [_member(name, member, rates) for name, member in bus.members],
    }


def is_fault(problem: ProblemView) -> bool:
    """Whether a warning is about a fault that somebody has set."""
    return problem.kind.startswith(_FAULT)


def _member(network: str, member: MemberView, rates: Rates) -> dict[str, Any]:
    return {
        "endpoint": member.endpoint,
        "name": member.container,
        "network": network,
        "interface": member.host_end,
        "state": shown_state(member.state),
        "style": style_of(member),
        "sent_rate": rates.sent.get(member.endpoint),
        "received_rate": rates.received.get(member.endpoint),
        "sent": member.sent,
        "received": member.received,
        "dropped": member.dropped,
        "limits": member.limits,
        "denied": denied_of(member),
        "fault": any(map(is_fault, (*member.problems, *member.warnings))),
        "notes": [problem.text for problem in (*member.problems, *member.warnings)],
    }


def id_document(
    bus: str, view: IdView, decoded: Decoded | None, signals: Iterable[SignalValue], now: int
) -> dict[str, Any]:
    """Return an id.

    Args:
        bus: the bus interface.
        view: the id.
        decoded: what the last frame means; None if it is in no database.
        signals: the last values of all signals, those of earlier frames too.
        now: microseconds since 1970.
    """
    frame = view.frame
    document: dict[str, Any] = {
        "bus": bus,
        "sender": view.sender,
        "id": view.id_text,
        "count": view.count,
        "period": view.period,
        "jitter": view.jitter,
        "length": frame.length,
        "data": "remote request" if frame.remote else frame.data.hex(" ").upper(),
        "changed": sorted(view.changed),
        "fd": frame.fd,
        "silent": view.silent(now),
    }
    if decoded is not None:
        document["message"] = decoded.message
        document["error"] = decoded.error
        document["signals"] = [
            [signal_key(bus, view.sender, view.id_text, signal.name), signal.name, *_value(signal)]
            for signal in signals
        ]
    return document


def _value(signal: SignalValue) -> tuple[str, float | None]:
    """Return a value as people read it, and as a number to plot."""
    return signal.text, number_of(signal)


def number_of(signal: SignalValue) -> float | None:
    """Return a value that can be plotted; None if it is no number."""
    return finite(signal.value) if isinstance(signal.value, int | float) else None


def signal_key(bus: str, sender: str, id_text: str, signal: str) -> str:
    """Return what a signal is asked for by; containers' names have no slash."""
    return f"{bus}/{sender}/{id_text}/{signal}"


def history(traffic: Mapping[str, BusTraffic]) -> dict[str, list[tuple[float, float, Any]]]:
    """Return time, rate and load of each second of each bus."""
    return {
        bus: [(moment.time, moment.rate, moment.load) for moment in seen.history]
        for bus, seen in traffic.items()
    }


def bus_interfaces(
    overviews: Sequence[Overview], given: Bitrates
) -> dict[str, tuple[dict[str, str], Bitrates]]:
    """Return what is to be read of each bus interface.

    Args:
        overviews: the plugins.
        given: the bitrates of buses that have none, as virtual ones; not of an absent controller.

    Returns:
        The containers' names by the interfaces that their frames arrive at, and the bitrates.
    """
    found: dict[str, tuple[dict[str, str], Bitrates]] = {}
    for network in (network for overview in overviews for network in overview.networks):
        if not network.bus:
            continue
        names, bitrates = found.get(network.bus, ({}, NO_BITRATES))
        own = bitrates_of(network)
        names |= {member.arrives_at: member.container for member in network.members}
        names.pop("", None)
        if not own.nominal and not bitrates.nominal and network.state != "absent":
            own = given
        found[network.bus] = names, own if own.nominal else bitrates
    return found
