"""Check what the plugin reports of its buses; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words
from evercan.cli.views.overview import NetworkView, Overview, ProblemView, Verdict


def health_checks(overview: Overview) -> Iterator[Check]:
    """Check the buses of a plugin; what it warns of is a warning, which fails nothing."""
    networks_of: dict[str, list[str]] = {}
    for network in overview.networks:
        networks_of.setdefault(network.bus, []).append(network.name)
    problems = list(overview.problems)
    for network in overview.networks:
        problems += [problem for problem in network.problems if problem not in overview.problems]
    for problem in problems:
        yield _problem(problem, networks_of, Result.FAIL)
    for warning in overview.warnings:
        yield _problem(warning, networks_of, Result.WARN)
    if not problems:
        number = words.number_of(len(overview.networks), "network")
        yield Check("health", "buses", Result.OK, f"{number}, no problem")
    for network in overview.networks:
        yield from _sharing(network)
        yield from _limits(network)
        yield from _controller(network)
        if network.recovered_at is not None and overview.now is not None:
            yield Check(
                "health.last-recovery",
                network.name,
                Result.OK,
                f"repaired {words.span(overview.now - network.recovered_at)} ago: "
                f"{network.recovery or 'the plugin does not report what'}",
            )


def _sharing(network: NetworkView) -> Iterator[Check]:
    if network.sharing:
        yield Check(
            "health.shared-bus",
            network.name,
            Result.WARN,
            f"{network.sharing}: their containers receive each other's frames",
            "if they are not to be one bus, create one of them again with another vxcan.id; if "
            "they are, give all of them the same vxcan.id",
        )


def _limits(network: NetworkView) -> Iterator[Check]:
    """Say what members with limits may do."""
    for member in network.members:
        if member.limits:
            yield Check(
                "health.limits",
                f"container {member.container}",
                Result.OK,
                f"on {network.name}: {member.limits}",
            )


def _problem(
    problem: ProblemView, networks_of: Mapping[str, Sequence[str]], result: Result
) -> Check:
    networks = ", ".join(networks_of.get(problem.bus, ()))
    title = f"container {problem.container}" if problem.container else ""
    return Check(
        f"health.{problem.kind}",
        title or networks or problem.bus or "plugin",
        result,
        problem.text,
        problem.remedy
        or "see the engine's log (journalctl -u docker) and the kernel's log (dmesg)",
    )


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
        ""
        if good
        else "check the wiring, the 120 ohm resistors at both ends, and that all nodes have the "
        "same bitrate",
    )


def _errors(controller: Mapping[str, Any]) -> str:
    errors = controller.get("errors") or {}
    known = [
        f"{errors[direction]} {direction}"
        for direction in ("tx", "rx")
        if errors.get(direction) is not None
    ]
    return f", error counters {', '.join(known)}" if known else ""
