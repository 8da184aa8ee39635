"""What ``evercan link status`` says of a link under test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.e2e.command import Command
from tools.common.polling import wait_until

_PATIENCE = 180
"""Seconds; the link of a host that was off starts with its engine."""


def health(command: Command, network: str) -> dict[str, Any]:
    """Return the health of a network's link; empty while it does not answer.

    A link that Swarm has replaced is listed beside the new one, and does not answer.
    """
    _, shown = command.run("link", "status", network, "--json")
    links = json.loads(shown)["links"]
    return next((link["health"] for link in links if link["health"]), {})


def wait_linked(links: Mapping[str, tuple[Command, str]]) -> None:
    """Wait until links work and have measured the way to each other.

    Args:
        links: the command and the network of each, by name.
    """
    for name, (command, network) in links.items():

        def linked(command: Command = command, network: str = network) -> bool:
            known = health(command, network)
            return known.get("state") == "active" and any(
                host["round_trip_ms"] for host in known["hosts"]
            )

        wait_until(linked, _PATIENCE, f"link {name}")
