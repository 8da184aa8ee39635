"""Which interfaces of evercan's nobody wants any more; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.steps import BringDown, DeleteLink


def plan_removals(
    declared: Declared, observed: Observed, endpoints: Iterable[str], retired: Iterable[str]
) -> Iterator[BringDown | DeleteLink]:
    """Plan to set the host ends of endpoints that left down, and to delete what is retired.

    A pair is evercan's by the state and by the tag. That of an endpoint that left stays
    until the engine has moved its end back.

    Args:
        declared: what is wanted.
        observed: what exists.
        endpoints: the ids of the endpoints concerned.
        retired: the names of the links concerned.
    """
    for endpoint_id in endpoints:
        endpoint = declared.endpoints.get(endpoint_id)
        if endpoint is None or not endpoint.has_left:
            continue
        for name in reversed(endpoint.host_interfaces):  # no frame for the second is lost on it
            link = observed.links.get(name)
            if link is not None and link.is_of_endpoint and link.up:
                bus = declared.networks[endpoint.network].bus
                yield BringDown(bus, endpoint.id, link.index, link.name)
    for name in retired:
        link = observed.links.get(name)
        if link is not None and link.is_deletable:
            yield DeleteLink(link.index, link.name)
