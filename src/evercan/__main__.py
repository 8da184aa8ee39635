"""Bind the plugin's socket with next to nothing loaded, then load the rest.

The engine dials a plugin half a second after its start and gives up after a
few tries; on a small board the imports alone can take longer. A socket that
listens keeps the engine's first call in its backlog until it can be answered.
"""

import _socket  # the socket module itself takes as long to load as the whole interpreter
import gc
import os
import sys

from evercan import BACKLOG

DEFAULT_SOCKET = "/run/docker/plugins/evercan.sock"


def bind(path: str) -> int:
    """Listen on a unix socket and return its descriptor; a file left behind is replaced."""
    listening = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:  # noqa: SIM105 - contextlib and pathlib cost more to load than the socket takes
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        pass
    listening.bind(path)
    listening.listen(BACKLOG)
    return listening.detach()


def main() -> int:
    """Run the plugin; return its exit status."""
    bound = bind(os.environ.get("EVERCAN_SOCKET") or DEFAULT_SOCKET)
    # What is imported stays: looking through it for garbage, while it is and at each
    # collection from then on, is a tenth of the start for nothing.
    gc.disable()
    import evercan.deferred  # noqa: F401, PLC0415 - bind first
    from evercan.daemon import main as serve  # noqa: PLC0415 - bind first

    gc.freeze()
    gc.enable()
    return serve(bound)


if __name__ == "__main__":
    sys.exit(main())
