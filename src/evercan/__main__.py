"""Bind the plugin's socket with the standard library alone, then load the rest.

The engine dials a plugin half a second after its start and gives up after a
few tries; on a small board the imports alone can take longer. A socket that
listens keeps the engine's first call in its backlog until it can be answered.
"""

import os
import socket
import sys

DEFAULT_SOCKET = "/run/docker/plugins/evercan.sock"


def bind(path: str) -> socket.socket:
    """Listen on a unix socket; one that a killed process left behind is replaced."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:  # noqa: SIM105 - contextlib and pathlib cost more to load than the socket takes
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        pass
    listening.bind(path)
    listening.listen(512)
    return listening


def main() -> int:
    """Run the plugin; return its exit status."""
    bound = bind(os.environ.get("EVERCAN_SOCKET") or DEFAULT_SOCKET)
    from evercan.daemon import main as serve  # noqa: PLC0415 - bind first

    return serve(bound)


if __name__ == "__main__":
    sys.exit(main())
