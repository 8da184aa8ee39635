"""Keeps what is known of the links of a bus: which exist, which one works for each host, counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evercan.link.accounting import Received, Stream
from evercan.link.limit import Limit
from evercan.link.names import LinkId, is_name, oldest

MOST_HOSTS = 256
MOST_STREAMS = 16
"""Hosts, and runs of a host's link, that are kept; a stranger cannot fill the memory."""


@dataclass
class Host:
    """What is known of another host.

    Attributes:
        counts: what became of its frames, over all runs of its link.
        links: its links that are alive; more than one if it has a standby.
        streams: of each run that has sent something, by its epoch.
        limit: of the frames that are taken from it.
    """

    limit: Limit

    counts: Received = field(default_factory=Received)
    links: set[LinkId] = field(default_factory=set)
    streams: dict[int, Stream] = field(default_factory=dict)


class Members:
    """The links of a bus, as this link sees them.

    Of several links of one host the oldest works, and the others are quiet. Each link decides so
    for itself, and for what it receives, so that both ends agree.
    """

    def __init__(self, own: LinkId, deadline: int, rate: float = 0) -> None:
        """Take what is needed to receive.

        Args:
            own: this link.
            deadline: age in ns from which on received frames are dropped.
            rate: frames per second that are taken from each host; 0 for all.
        """
        self.own = own
        self.hosts: dict[str, Host] = {}
        self._deadline = deadline
        self._rate = rate
        self._same_host = {own}

    def joined(self, link: LinkId) -> None:
        """Note that a link is alive."""
        if link.host == self.own.host:
            self._same_host.add(link)
        elif (host := self._host(link.host)) and len(host.links) < MOST_STREAMS:
            host.links.add(link)

    def left(self, link: LinkId) -> None:
        """Note that a link has gone, or cannot be reached."""
        if link.host == self.own.host:
            self._same_host -= {link} - {self.own}
        elif link.host in self.hosts:
            self.hosts[link.host].links.discard(link)

    @property
    def older(self) -> LinkId | None:
        """The older link of this host that works; None if this one works."""
        first = oldest(list(self._same_host))
        return None if first == self.own else first

    def heard(self) -> bool:
        """Return whether a link of another host is alive."""
        return any(host.links for host in list(self.hosts.values()))

    def others(self) -> Iterator[LinkId]:
        """Yield the links of other hosts."""
        for host in list(self.hosts.values()):
            yield from list(host.links)

    def stream(self, host: str, epoch: int) -> Stream | None:
        """Return the stream of a run.

        Returns:
            None if an older link of that host works for it, or if there are too many to keep.
        """
        known = self._host(host)
        if known is None:
            return None
        if len(known.links) > 1:
            first = oldest(list(known.links))
            if first is not None and first.epoch != epoch:
                return None
        stream = known.streams.get(epoch)
        if stream is None:
            if len(known.streams) >= MOST_STREAMS:
                return None
            stream = known.streams[epoch] = Stream(known.counts, self._deadline, known.limit)
        return stream

    def forget_idle(self, before: int) -> None:
        """Forget the streams of former runs that are gone and have sent nothing since a time.

        The run that a host was last heard of stays: when a network is back after a long cut, it
        tells how many frames have been lost.

        Args:
            before: local time, ns.
        """
        for host in list(self.hosts.values()):
            alive = {link.epoch for link in host.links}
            last = max((stream.last for stream in host.streams.values()), default=0)
            for epoch, stream in list(host.streams.items()):
                if epoch not in alive and stream.last < min(before, last):
                    del host.streams[epoch]

    def _host(self, name: str) -> Host | None:
        host = self.hosts.get(name)
        if host is None and len(self.hosts) < MOST_HOSTS and is_name(name):
            host = self.hosts[name] = Host(Limit(self._rate))
        return host
