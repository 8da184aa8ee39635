"""Watches with whom a link is connected, and says what is wrong with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from evercan.link.diagnosis import Problem, why_unconnected
from evercan.link.settings import Settings

PROBE_INTERVAL = 10.0
"""Seconds between two attempts to find out why no other link is connected.

Each attempt is a connection that the other end accepts beside Zenoh's own attempts.
"""

UNHEARD = 5.0
"""Seconds that a connected link may hear no other host, until it is a problem."""

_log = logging.getLogger("evercan.link")


class Connections:
    """The connections of a link.

    Attributes:
        connected: with whom: the names in their certificates, empty without TLS.
        denied: hosts that are connected and not in ``LINK_ALLOW``.
        problems: what keeps the link from hearing others.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the settings of the link."""
        self.connected: list[str] = []
        self.denied: list[str] = []
        self.problems: Sequence[Problem] = ()
        self._settings = settings
        self._unheard_since: float | None = None
        self._probe_at = 0.0

    def look(self, connected: list[str], *, heard: bool) -> None:
        """Take the connections of this moment, and whether another host is heard."""
        self.connected = connected
        self._note_denied()
        if connected:
            self._note(self._unheard(heard=heard))
        elif not self._settings.connect:
            self._note([])
        elif not self.problems or time.monotonic() >= self._probe_at:
            self._note(_why_unconnected(self._settings.connect, self._settings.certificates))
            self._probe_at = time.monotonic() + PROBE_INTERVAL

    def _note_denied(self) -> None:
        allow = self._settings.allow
        denied = sorted({name for name in self.connected if name} - set(allow)) if allow else []
        for name in denied:
            if name not in self.denied:
                _log.warning("host %s is connected and not in LINK_ALLOW; it is denied", name)
        self.denied = denied

    def _unheard(self, *, heard: bool) -> Sequence[Problem]:
        """Return the problem of a link that is connected for some seconds and hears nobody."""
        others = [name for name in self.connected if name not in self.denied]
        if heard or not others:
            self._unheard_since = None
            return []
        self._unheard_since = self._unheard_since or time.monotonic()
        if time.monotonic() - self._unheard_since < UNHEARD:
            return self.problems
        names = ", ".join(sorted({name for name in others if name})) or "another link"
        bus, host = self._settings.bus, self._settings.host
        return [
            Problem(
                f"connected with {names}, but no other host of bus {bus} is heard",
                f"give both links the same bus and each its own host name, which is {host} here; "
                f"if LINK_ALLOW is set there, list {host} in it",
            )
        ]

    def _note(self, problems: Sequence[Problem]) -> None:
        if problems != self.problems:
            for problem in problems:
                _log.warning("%s; %s", problem.text, problem.remedy)
        self.problems = problems


def _why_unconnected(connect: Sequence[str], certificates: Path | None) -> Sequence[Problem]:
    """Find out why no other link is connected."""
    causes = [why_unconnected(endpoint, certificates) for endpoint in connect]
    return [cause for cause in causes if cause] or [
        Problem("no other link is connected", "wait, or read this container's log")
    ]
