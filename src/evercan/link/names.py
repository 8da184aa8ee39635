"""Names of buses, hosts and links, and the keys that messages have in Zenoh.

::

    evercan/BUS/HOST              messages with frames of a host
    evercan/BUS/HOST/SINCE-EPOCH  one running link: its liveliness token, and where it is pinged

``SINCE`` is the time of the link's start on its host's boot clock, ``EPOCH`` a random number.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ROOT = "evercan"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_RUN = re.compile(r"([0-9a-f]{16})-([0-9a-f]{8})")


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a bus or a host."""
    return _NAME.fullmatch(text) is not None


class LinkId(NamedTuple):
    """One run of a link program.

    Attributes:
        host: the host that it sends for.
        since: nanoseconds of the host's boot clock at its start, so that the older one of two
            links of a host is known whatever happens to the time of day.
        epoch: a random number from 0 to 2³²-1, which its messages carry.
    """

    host: str
    since: int
    epoch: int

    @property
    def age_order(self) -> tuple[int, int]:
        """What is smaller in the older one of two links."""
        return self.since, self.epoch


def frames_key(bus: str, host: str) -> str:
    """Return the key of the messages with a host's frames; ``*`` for all hosts."""
    return f"{ROOT}/{bus}/{host}"


def link_key(bus: str, link: LinkId) -> str:
    """Return the key of a link's liveliness token and of its answers to pings."""
    return f"{ROOT}/{bus}/{link.host}/{link.since:016x}-{link.epoch:08x}"


def links_key(bus: str) -> str:
    """Return the key expression of all links of a bus."""
    return f"{ROOT}/{bus}/*/*"


def host_of(key: str) -> str:
    """Return the host of a key of frames."""
    return key.rpartition("/")[2]


def link_of(key: str) -> LinkId | None:
    """Return the link that a key belongs to; None if it is none of a link."""
    parts = key.split("/")
    run = _RUN.fullmatch(parts[-1])
    if len(parts) != 4 or run is None:
        return None
    return LinkId(parts[2], int(run[1], 16), int(run[2], 16))


def oldest(links: list[LinkId]) -> LinkId | None:
    """Return the link that works for a host, the oldest; None if there is none."""
    return min(links, key=lambda link: link.age_order, default=None)
