"""Reads how many entries the receive lists of the host's network namespace have.

Each can-gw rule is one entry, and each filter of a CAN socket is another. The number is the only
sign of a flushed rule table that costs less than reading the table: ``net/can/gw.c`` sends no
netlink message when rules change, a uevent announces that the module is loaded but not that
its rules are gone, the file cannot be polled, and tracing needs more than CAP_NET_ADMIN.
"""

from __future__ import annotations

import os
import re
from threading import Lock

_STATISTICS = "/proc/net/can/stats"
_ENTRIES = re.compile(rb"(\d+) current receive list entries")


class ReceiveLists:
    """The number of entries, from a file that stays open: opening it costs more than reading it."""

    def __init__(self, path: str = _STATISTICS) -> None:
        """Take the file's path; it is opened when it is first read."""
        self._path = path
        self._descriptor: int | None = None
        self._lock = Lock()

    def count(self) -> int | None:
        """Return the number; None if the kernel does not show it (``net/can/proc.c``)."""
        with self._lock:
            try:
                if self._descriptor is None:
                    self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                found = _ENTRIES.search(os.pread(self._descriptor, 4096, 0))
            except OSError:
                self._close()  # the module can was unloaded; its file is another one next time
                return None
        return None if found is None else int(found[1])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
