"""The least that a frame can take: one vcan, and one vxcan pair with one rule."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.host_tasks.containers import Container, can_socket
from bench.host_tasks.mesh import ECHO, IIF_TX_OK, add_rules
from bench.host_tasks.processes import ip_batch

Sockets = tuple[socket.socket, socket.socket]
"""One that frames are sent to, and one that they are received from."""


@contextmanager
def references() -> Iterator[dict[str, Sockets]]:
    """Make them beside other buses, and open sockets by name.

    The pair leads from a namespace to the host, where one rule forwards to a vcan.
    """
    container = Container()
    ip_batch(
        "link add bare0 type vcan", "link set bare0 up",
        "link add bare1 type vcan", "link set bare1 up",
        "link add bare2 type vxcan peer name bare3", "link set bare2 up",
    )  # fmt: skip
    try:
        container.take("bare3")
        source, target = socket.if_nametoindex("bare2"), socket.if_nametoindex("bare1")
        add_rules([(source, target, IIF_TX_OK | ECHO)])
        yield {
            "vcan": (can_socket("bare0"), can_socket("bare0")),
            "pair": (container.can_socket("bare3"), can_socket("bare1")),
        }
    finally:
        container.end()
