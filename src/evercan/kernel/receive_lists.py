"""Reads how many entries the receive lists of the host's network namespace have.

Each can-gw rule is one entry, and each filter of a CAN socket is another. The number is the only
sign of a flushed rule table that costs less than reading the table: ``net/can/gw.c`` sends no
netlink message when rules change, a uevent announces that the module is loaded but not that
its rules are gone, the file cannot be polled, and tracing needs more than CAP_NET_ADMIN.
"""

from __future__ import annotations

import os
import re

_STATISTICS = "/proc/net/can/stats"
_ENTRIES = re.compile(rb"(\d+) current receive list entries")


def count_entries(path: str = _STATISTICS) -> int | None:
    """Return the number of entries; None if the kernel does not show it (``net/can/proc.c``)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = _ENTRIES.search(os.read(descriptor, 4096))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if found is None else int(found[1])
