"""Knows which namespace a container's end is in, for as long as that is certain.

A pair that is deleted while its container runs can be created there again if the number
of the container's network namespace (nsid) is known. Numbers are reused: when a namespace
ends, its number goes to the next one, and a repair by a stale number would give the wrong
container a bus. So a number is trusted only if this process has observed it on the pair
and the kernel has not announced its end since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evercan.model.declared import NONE, Declared
from evercan.model.observed import Link, Location, Observed
from evercan.values import NamedTuple

NameInside = Callable[[Link], str | None]
"""Asks the kernel what a host end's other end is called in its namespace."""


class Namespaces(NamedTuple):
    """What is known of the members' namespaces.

    Attributes:
        trusted: by endpoint id.
        ended: endpoints whose namespace is known to have ended.
    """

    trusted: Mapping[str, Location] = NONE
    ended: frozenset[str] = frozenset()

    def without(self, ended: frozenset[int] | None) -> Namespaces:
        """Return what is still certain after announcements.

        Args:
            ended: numbers that the kernel announced as ended; None if some of its
                announcements may have been lost, and any number may be another's now.
        """
        if ended is None:
            return self._replace(trusted={})
        over = {key for key, known in self.trusted.items() if known.nsid in ended}
        trusted = {key: known for key, known in self.trusted.items() if key not in over}
        return Namespaces(trusted=trusted, ended=self.ended | over)

    def learn(
        self,
        declared: Declared,
        observed: Observed,
        ended: frozenset[int] | None,
        name_inside: NameInside,
    ) -> Namespaces:
        """Return what is known after an observation.

        Args:
            declared: whose endpoints count; what was known of others is dropped.
            observed: the observation.
            ended: what was announced since the last observation and until after this one,
                and is left out already: what it was observed with may be gone. None if
                announcements may have been lost: then nothing new is learned.
            name_inside: asked once for each pair that is newly observed up at both
                ends: the engine renames an end before it brings it up.
        """
        trusted: dict[str, Location] = {}
        gone = {ended_id for ended_id in self.ended if ended_id in declared.endpoints}
        for endpoint in declared.endpoints.values():
            known = self.trusted.get(endpoint.id)
            link = observed.links.get(endpoint.host_end)
            if link is not None and link.is_ours and link.known_nsid is not None:
                gone.discard(endpoint.id)
                if known is not None and known.nsid != link.known_nsid:
                    known = None
                may_be_gone = ended is None or link.known_nsid in ended
                if known is None and link.running and not may_be_gone:
                    known = _location(link.known_nsid, name_inside(link))
            if known is not None:
                trusted[endpoint.id] = known
        return Namespaces(trusted=trusted, ended=frozenset(gone))


def _location(nsid: int, name: str | None) -> Location | None:
    """Return where an end is, if it has a name that it could be given again.

    The kernel takes any bytes for a name; bytes that are not text cannot be sent.
    """
    return None if name is None or not name.isprintable() else Location(nsid, name)
