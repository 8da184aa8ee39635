"""Play frames as ``evercan.cli.access.player`` does, into a file instead of an interface.

The file is in the folder FAKE_BUS and has the interface's name; a line has the time in
microseconds of the monotonic clock, and the frame. FAKE_BUS_ERROR is an errno that the frame of
the number FAKE_BUS_ERROR_AT meets, from 0.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

from evercan.cli.access import player
from evercan.cli.access.can_socket import text_of


class FakeBus:
    """A CAN socket that writes its frames to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)
        self._left = int(os.environ.get("FAKE_BUS_ERROR_AT", "0"))

    def send(self, frame: bytes) -> None:
        if not self._left and "FAKE_BUS_ERROR" in os.environ:
            number = getattr(errno, os.environ["FAKE_BUS_ERROR"])
            raise OSError(number, os.strerror(number))
        self._left -= 1
        self._file.write(f"{time.monotonic_ns() // 1000} {text_of(frame)}\n")


def main() -> int:
    try:
        bus = FakeBus(Path(os.environ["FAKE_BUS"], sys.argv[1]))
        player.play(sys.stdin.buffer, cast("Any", bus))
    except OSError as error:
        print(f"{sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
