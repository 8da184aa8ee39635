"""A link whose CAN interface is a socket that the test has the other end of."""

from __future__ import annotations

import evercan.link.deferred  # noqa: F401 - as the program itself does

# isort: split
import os
import socket
import sys

import zenoh

from evercan.link.__main__ import run
from evercan.link.settings import read_settings


def main() -> None:
    """Run the link of the environment; the first argument is the socket's file descriptor."""
    number = int(sys.argv[1])
    zenoh.init_log_from_env_or("error")
    run(read_settings(os.environ), lambda: socket.socket(fileno=os.dup(number)))
    os._exit(0)


if __name__ == "__main__":
    main()
