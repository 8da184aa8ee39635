"""What operators read of a link: the documents of ``/health`` and ``/metrics``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evercan.link.diagnosis import Problem
from evercan.link.members import Host, Members

ACTIVE, STANDBY, STARTING = "active", "standby", "starting"


@dataclass
class Sent:
    """Counts of what goes from the bus to other hosts.

    Attributes:
        frames: sent, with a sequence number each.
        messages: that they were sent in.
        unheard: of these, frames that were sent while no other host was linked.
        overflowed: frames that the kernel dropped because this program was too slow to read them;
            they have sequence numbers too, so that other hosts count them as lost.
        error_frames: reports of a CAN controller, which stay on this host.
        malformed: messages of others that could not be understood.
    """

    frames: int = 0
    messages: int = 0
    unheard: int = 0
    overflowed: int = 0
    error_frames: int = 0
    malformed: int = 0


@dataclass
class Report:
    """The state of a link at one moment.

    Attributes:
        bus: the bus's name.
        members: the links of the bus and what was received.
        state: `ACTIVE`, `STANDBY` or `STARTING`.
        interface_problem: why no CAN interface is open; None if one is.
        sent: counts of what was sent.
        waiting: frames that wait for the bus.
        connections: with other links.
        denied: hosts that are connected and not among those that may take part.
        problems: what keeps it from working.
    """

    bus: str
    members: Members
    state: str
    sent: Sent
    waiting: int = 0
    connections: int = 0
    denied: Sequence[str] = ()
    problems: Sequence[Problem] = field(default_factory=tuple)

    def health(self) -> dict[str, Any]:
        """Return the document of ``/health``."""
        return {
            "schema": 1,
            "healthy": not self.problems,
            "state": self.state,
            "bus": self.bus,
            "host": self.members.own.host,
            "connections": self.connections,
            "denied_hosts": list(self.denied),
            "problems": [problem._asdict() for problem in self.problems],
            "sent": asdict(self.sent),
            "waiting": self.waiting,
            "hosts": [
                {
                    "host": name,
                    "links": len(host.links),
                    "round_trip_ms": _milliseconds(_round_trip(host)),
                    **asdict(host.counts),
                }
                for name, host in sorted(self.members.hosts.items())
            ],
        }

    def metrics(self) -> str:
        """Return the document of ``/metrics``, in Prometheus' text format."""
        own = {"bus": self.bus, "host": self.members.own.host}
        lines: list[str] = []

        def add(name: str, kind: str, text: str, values: Mapping[tuple[str, ...], float]) -> None:
            lines.append(f"# HELP evercan_link_{name} {text}")
            lines.append(f"# TYPE evercan_link_{name} {kind}")
            for labels, value in values.items():
                given = {**own, **dict(zip(labels[::2], labels[1::2], strict=True))}
                inner = ",".join(f'{label}="{given[label]}"' for label in given)
                lines.append(f"evercan_link_{name}{{{inner}}} {value!r}")

        hosts = sorted(self.members.hosts.items())
        sent = self.sent
        add(
            "healthy",
            "gauge",
            "1 if nothing keeps the link from working.",
            {(): int(not self.problems)},
        )
        add(
            "active",
            "gauge",
            "1 if the link works, 0 if it starts or is a standby.",
            {(): int(self.state == ACTIVE)},
        )
        add("connections", "gauge", "Connections with other links.", {(): self.connections})
        add(
            "denied_hosts",
            "gauge",
            "Hosts that are connected and may not take part.",
            {(): len(self.denied)},
        )
        add("waiting_frames", "gauge", "Frames that wait for a slow bus.", {(): self.waiting})
        add("sent_frames_total", "counter", "Frames sent to other hosts.", {(): sent.frames})
        add(
            "sent_messages_total",
            "counter",
            "Messages that they were sent in.",
            {(): sent.messages},
        )
        add(
            "unheard_frames_total",
            "counter",
            "Frames sent while no other host was linked.",
            {(): sent.unheard},
        )
        add(
            "overflowed_frames_total",
            "counter",
            "Frames that the link was too slow to read.",
            {(): sent.overflowed},
        )
        add(
            "error_frames_total",
            "counter",
            "Error frames, which stay on this host.",
            {(): sent.error_frames},
        )
        add(
            "malformed_messages_total",
            "counter",
            "Messages that could not be understood.",
            {(): sent.malformed},
        )
        add(
            "received_frames_total",
            "counter",
            "Frames of another host, by what became of them.",
            {
                ("from", name, "result", result): count
                for name, host in hosts
                for result, count in asdict(host.counts).items()
            },
        )
        add(
            "links",
            "gauge",
            "Links of another host; more than one with a standby.",
            {("from", name): len(host.links) for name, host in hosts},
        )
        add("round_trip_seconds", "gauge", "Time from the last ping to its answer.",
            {
                ("from", name): trip / 1e9
                for name, host in hosts
                if (trip := _round_trip(host)) is not None
            })  # fmt: skip
        return "\n".join(lines) + "\n"


def _round_trip(host: Host) -> int | None:
    """Return the round trip to a host in ns; None if it is not there or has not answered."""
    alive = {link.epoch for link in host.links}
    known = [
        trip
        for epoch, stream in list(host.streams.items())
        if epoch in alive and (trip := stream.clock.round_trip) is not None
    ]
    return min(known, default=None)


def _milliseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)
