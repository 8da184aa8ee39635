"""The configuration of a Zenoh session, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evercan.link.names import ROOT

LEASE_SECONDS = 2
"""A silent connection is closed after this time, and made again."""

WAIT_BEFORE_DROP = 0.02
"""Seconds that a message waits for room in the queue to the network before it is dropped.

While it waits, frames wait in the kernel: its buffer holds those of at least 30 ms of a full bus.
"""

_QUEUE = 16
"""Batches for each priority, the most that Zenoh takes.

Messages that wait share a batch of 64 KiB, so that a thread of Zenoh may wait for the processor for
some 100 ms without a loss. An express message would have a batch of its own.
"""


def session_config(
    *,
    listen: Sequence[str] = (),
    connect: Sequence[str] = (),
    certificates: Path | None = None,
    bus: str = "",
    allow: Sequence[str] = (),
    client: bool = False,
) -> dict[str, Any]:
    """Return the values of Zenoh's configuration that differ from its defaults, by their path.

    A session uses explicit addresses only: it searches for nobody and listens nowhere else. A link
    is a router, which forwards between the links that are connected to it; a client, for programs
    that only use a bus, forwards nothing.

    Args:
        listen: endpoints to listen on.
        connect: endpoints to connect to.
        certificates: folder with ca.pem, link.pem and link.key; None without TLS.
        bus: the bus that ``allow`` is about.
        allow: names in certificates (CN) of hosts that may take part; empty for all.
        client: only use the connections.
    """
    config: dict[str, Any] = {
        "mode": "client" if client else "router",
        "listen/endpoints": list(listen),
        "connect/endpoints": list(connect),
        "connect/timeout_ms": 10_000 if client else -1,
        "connect/exit_on_failure": client,
        "connect/retry": {
            "period_init_ms": 200,
            "period_max_ms": 1000,
            "period_increase_factor": 2,
        },
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/unicast/open_timeout": 5000,
        "transport/unicast/accept_timeout": 5000,
        "transport/link/tx/lease": LEASE_SECONDS * 1000,
        "transport/link/tx/queue/size": dict.fromkeys(
            (
                *("control", "real_time", "interactive_high", "interactive_low"),
                *("data_high", "data", "data_low", "background"),
            ),
            _QUEUE,
        ),
        # A message that finds nothing waiting leaves at once.
        "transport/link/tx/queue/batching/time_limit": 0,
        "transport/link/tx/queue/congestion_control/drop/wait_before_drop": int(
            WAIT_BEFORE_DROP * 1e6
        ),
    }
    if certificates:
        config["transport/link/tls"] = {
            "root_ca_certificate": str(certificates / "ca.pem"),
            "enable_mtls": True,
            "listen_certificate": str(certificates / "link.pem"),
            "listen_private_key": str(certificates / "link.key"),
            "connect_certificate": str(certificates / "link.pem"),
            "connect_private_key": str(certificates / "link.key"),
            "verify_name_on_connect": True,
            "close_link_on_expiration": True,
        }
    if allow:
        config["access_control"] = access_list(bus, allow)
    return config


def access_list(bus: str, allow: Sequence[str]) -> dict[str, Any]:
    """Return an access list that denies everything except one bus to the hosts named.

    Args:
        bus: the bus's name.
        allow: the hosts' names, as in their certificates.
    """
    return {
        "enabled": True,
        "default_permission": "deny",
        "rules": [
            {
                "id": "bus",
                "permission": "allow",
                "flows": ["ingress", "egress"],
                "messages": [
                    *("put", "declare_subscriber", "query", "reply", "declare_queryable"),
                    *("liveliness_token", "liveliness_query", "declare_liveliness_subscriber"),
                ],
                "key_exprs": [f"{ROOT}/{bus}/**"],
            }
        ],
        "subjects": [{"id": "hosts", "cert_common_names": list(allow)}],
        "policies": [{"rules": ["bus"], "subjects": ["hosts"]}],
    }
