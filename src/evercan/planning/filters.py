"""What has to happen for the filters of endpoints with limits to be as declared; pure.

An endpoint with limits has a further interface on the host, its *filter interface*, a vcan.
The rules refer to that and not to the host end, so that the two are connected by filters only:

- Frames that the container sends arrive on the host end. Those that are allowed are redirected
  to arrive on the filter interface, from where rules forward them.
- Frames that rules send to the filter interface are redirected to be sent on the host end, if
  the member may receive them.

Whatever is missing, of the filters or of the rules, keeps frames away and lets none through. So
filters are replaced and repaired in any order.
"""

from __future__ import annotations

from evercan.model.access import receive_filters, send_filters
from evercan.model.declared import Endpoint
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem
from evercan.model.steps import MakeFilterInterface, SetFilters, Step
from evercan.planning.ends import foreign_end, plan_end


def plan_filters(
    observed: Observed,
    bus: str,
    endpoint: Endpoint,
    steps: list[Step],
    problems: list[Problem],
) -> Link | None:
    """Plan the filter interface of an endpoint and the filters; return it if it exists.

    Args:
        observed: what exists.
        bus: the bus interface.
        endpoint: an endpoint with limits that wants a pair.
        steps: gets the steps.
        problems: gets what no step repairs.
    """
    name, access = endpoint.filter_interface, endpoint.access
    if name is None or access is None:
        return None
    link = observed.links.get(name)
    if link is None:
        steps.append(MakeFilterInterface(bus, endpoint.id, name))
        return None
    if not link.is_filter_interface:
        problems.append(foreign_end(bus, endpoint, link, "filter interface"))
        return None
    steps += plan_end(bus, endpoint, link)
    host_end = observed.links.get(endpoint.host_end)
    if host_end is not None and host_end.is_pair:
        wanted = (
            (host_end, True, send_filters(access, link.index)),
            (link, False, receive_filters(access, host_end.index)),
        )
        for end, ingress, filters in wanted:
            if observed.filters.get(end.index, ()) != filters:
                steps.append(SetFilters(bus, endpoint.id, end.index, end.name, ingress, filters))
    return link
