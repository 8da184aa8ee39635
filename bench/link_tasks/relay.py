"""Delays a TCP connection: ``python3 -m bench.link_tasks.relay LISTEN CONNECT SECONDS``.

Stands in for netem where the kernel has none. Ports are those of 127.0.0.1. What comes is
passed on after the delay, each way, in the pieces in which it came.
"""

from __future__ import annotations

import ctypes
import queue
import socket
import sys
import time
from threading import Thread

_TIMER_SLACK = 29  # PR_SET_TIMERSLACK


def read(source: socket.socket, waiting: queue.SimpleQueue[tuple[int, bytes]]) -> None:
    """Note when each piece has come; an empty one is the end."""
    data = b"-"
    while data:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        waiting.put((time.monotonic_ns(), data))


def write(target: socket.socket, waiting: queue.SimpleQueue[tuple[int, bytes]], delay: int) -> None:
    """Pass each piece on when its time has come, until an end has gone."""
    ctypes.CDLL(None).prctl(_TIMER_SLACK, 1)  # of this thread
    while True:
        came, data = waiting.get()
        early = came + delay - time.monotonic_ns()
        if early > 0:
            time.sleep(early / 1e9)
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            return


def main() -> None:
    """Delay every connection that is made."""
    listen, connect, seconds = sys.argv[1:]
    with socket.create_server(("127.0.0.1", int(listen))) as server:
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", int(connect)))
            except ConnectionRefusedError:
                near.close()  # whoever connects tries again
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((near, far), (far, near)):
                waiting: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
                Thread(target=read, args=(source, waiting), daemon=True).start()
                writer = (target, waiting, int(float(seconds) * 1e9))
                Thread(target=write, args=writer, daemon=True).start()


if __name__ == "__main__":
    main()
