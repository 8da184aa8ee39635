"""What the doctor thinks of what the plugin says of its buses; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words
from evercan.cli.views.overview import NetworkView, Overview, Trouble, Verdict


def health_checks(seen: Overview) -> Iterator[Check]:
    """Judge what the plugin says of its buses."""
    names = {each.endpoint: each.container for net in seen.networks for each in net.members}
    by_bus: dict[str, list[str]] = {}
    for network in seen.networks:
        by_bus.setdefault(network.bus, []).append(network.name)
    own = [one for net in seen.networks for one in net.troubles if one not in seen.troubles]
    for each in (*seen.troubles, *own):
        yield _trouble(each, names, by_bus)
    if not seen.troubles and not own:
        yield Check(
            "health",
            "buses",
            Result.OK,
            f"{words.number_of(len(seen.networks), 'network')}, all whole",
        )
    for network in seen.networks:
        yield from _controller(network)
        if network.recovered_at is not None and seen.now is not None:
            yield Check(
                "health.last-recovery",
                network.name,
                Result.OK,
                f"was mended {words.span(seen.now - network.recovered_at)} ago: "
                f"{network.recovery or 'the plugin does not say what'}",
            )


def _trouble(
    trouble: Trouble, names: Mapping[str, str], by_bus: Mapping[str, Sequence[str]]
) -> Check:
    text, _, remedy = trouble.text.partition("; ")
    whose = names.get(trouble.endpoint or "")
    networks = by_bus.get(trouble.bus, ())
    place = f"container {whose}" if whose else ", ".join(networks) or trouble.bus or "plugin"
    if whose:
        remedy = re.sub(r"restart (the|its|that) container", f"docker restart {whose}", remedy)
    remedy = remedy or "see the engine's log (journalctl -u docker) and the kernel's (dmesg)"
    return Check(f"health.{trouble.kind}", place, Result.FAIL, text, remedy)


def _controller(network: NetworkView) -> Iterator[Check]:
    state = network.controller.get("state")
    if not state or network.state in ("absent", "down"):
        return
    good = network.state == "error-active"
    result = Result.OK if good else Result.WARN
    if network.verdict is Verdict.FAIL and network.state == "bus-off":
        result = Result.FAIL
    yield Check(
        "health.controller",
        f"controller {network.bus}",
        result,
        f"is {state}{_errors(network.controller)}",
        "" if good else "check the wiring, 120 ohm at both ends, and that all have one bitrate",
    )


def _errors(controller: Mapping[str, Any]) -> str:
    errors = controller.get("errors") or {}
    known = [f"{errors[way]} {way}" for way in ("tx", "rx") if errors.get(way) is not None]
    return f", error counters {', '.join(known)}" if known else ""
