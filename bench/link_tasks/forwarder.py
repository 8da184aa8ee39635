"""A bare TCP forwarder: ``python3 -m bench.link_tasks.forwarder FD HOST PORT ROLE``.

The link is compared with it. It writes each frame of the bus to the connection at once, and each
frame that comes to the bus. It has no numbers, no deadline, no counters and no encryption.
"""

from __future__ import annotations

import socket
import sys
from threading import Thread

FRAME_SIZE = 16


def connection(host: str, port: int, role: str) -> socket.socket:
    """Return the connection with the other forwarder: ``listen`` or ``connect``."""
    if role == "listen":
        with socket.create_server((host, port)) as server:
            made, _ = server.accept()
    else:
        made = socket.create_connection((host, port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def forward(bus: socket.socket, tcp: socket.socket) -> None:
    """Write the frames of the bus to the connection."""
    while frame := bus.recv(FRAME_SIZE):
        tcp.sendall(frame)


def deliver(tcp: socket.socket, bus: socket.socket) -> None:
    """Write the frames of the connection to the bus."""
    with tcp.makefile("rb") as stream:
        while frame := stream.read(FRAME_SIZE):
            bus.send(frame)


def main() -> None:
    """Forward both ways until the connection ends."""
    number, host, port, role = sys.argv[1:]
    bus = socket.socket(fileno=int(number))
    tcp = connection(host, int(port), role)
    Thread(target=forward, args=(bus, tcp), daemon=True).start()
    deliver(tcp, bus)


if __name__ == "__main__":
    main()
