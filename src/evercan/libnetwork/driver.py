"""The verbs of the remote driver protocol, each readable from top to bottom.

Every verb is idempotent and may run concurrently with any other. A verb that fails rolls
back what it asked for, so that nothing stays half done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evercan.errors import CannotServe, OptionError, RequestError, UnknownNetwork
from evercan.intent.changes import CreateNetwork, DeleteNetwork
from evercan.intent.endpoint_changes import CreateEndpoint, DeleteEndpoint, Join, Leave
from evercan.libnetwork import call_lines
from evercan.libnetwork.transaction import Transactions, raise_error
from evercan.log.writer import about
from evercan.model.declared import NONE, Declared
from evercan.model.names import looks_like_hardware
from evercan.model.problems import ProblemKind
from evercan.model.state import State
from evercan.options.endpoint import NAME, endpoint_options, published_ports
from evercan.options.network import KIND, network_options
from evercan.planning.pairs import name_holder
from evercan.reconcile.outcome import Outcome
from evercan.reconcile.queue import PassQueue
from evercan.tracking.backoff import Backoff
from evercan.values import NamedTuple

if TYPE_CHECKING:
    from evercan.intent.findings import Adoption, NetworkClaim

_WAITABLE = frozenset(
    {
        ProblemKind.BUS_ABSENT,
        ProblemKind.BUS_DOWN,
        ProblemKind.BUS_OFF,
        ProblemKind.REPAIRS_LIMITED,
        ProblemKind.CAN_GW_MISSING,
        ProblemKind.BUS_IMPERSONATES,
        ProblemKind.BRIDGE_ABSENT,
        ProblemKind.BRIDGE_DOWN,
        ProblemKind.BRIDGE_FOREIGN,
        ProblemKind.FAULTS_BLOCKED,
    }
)
"""Problems with which a network may be created: the bus gets its rules when they end."""

_STARTABLE = _WAITABLE | {ProblemKind.BUS_SETTINGS}
"""Problems with which a container may start: those, and a controller that was reconfigured."""

_NAME_TIMEOUT = 6.5
"""Seconds from a Join's start in which the engine may move another interface of the same name.

A last observation is over before ``server.BOUND`` ends the call and hides the reason.
"""

_NAME_INTERVALS = 0.05, 0.4
"""Shortest and longest seconds between observations, which slow a busy engine down further."""

_log = logging.getLogger(__name__)


class JoinAnswer(NamedTuple):
    """What the engine needs to move the container end.

    Attributes:
        source: the container end's name on the host (``SrcName``).
        prefix: the name inside, to which the engine appends an index (``DstPrefix``).
        name: the whole name inside, if the user chose it (``DstName``).
    """

    source: str
    prefix: str
    name: str | None = None


class Driver:
    """The verbs of ``NetworkDriver``, by the names that the engine gives them."""

    def __init__(
        self, queue: PassQueue, *, may_wait: bool = True, ifname_applied: bool = False
    ) -> None:
        """Take the queue that runs the passes.

        Args:
            queue: runs reconcile passes.
            may_wait: containers may start on a bus that waits for its hardware.
            ifname_applied: the engine applies the name inside that Join answers.
        """
        self._queue = queue
        self._transactions = Transactions(queue)
        self._ifname_applied = ifname_applied
        self._warned_of_ports: set[str] = set()
        self._waitable = _WAITABLE if may_wait else frozenset()
        self._startable = _STARTABLE if may_wait else frozenset()

    async def create_network(self, network_id: str, options: Mapping[str, object]) -> None:
        """Record a network, and create its bus interface if there is none.

        Raises:
            OptionError: an option is wrong; nothing was changed.
            CannotServe: the kernel cannot serve it; nothing was left behind.
        """
        wanted = network_options(options)
        call_lines.foreign_options(network_id, options)
        async with self._transactions.commit(CreateNetwork(network_id, wanted)) as outcome:
            made = outcome.state.declared.networks.get(network_id)
            bus = wanted.bus if made is None else made.bus
            _require_served(outcome.state, bus, self._waitable)
        network = outcome.state.declared.networks.get(network_id)
        if network is None:
            raise RequestError(
                f"network {network_id} was deleted while it was being created", "create it again"
            )
        _log.info(
            "Network %s is bus %s (%s, %s)",
            network_id[:12],
            network.bus,
            network.kind,
            "created by evercan" if network.owns_bus else "found on the host",
            extra=about(network=network_id, interface=network.bus),
        )
        call_lines.shared_bus(outcome.state, network, options)
        if wanted.kind is None and network.owns_bus and looks_like_hardware(network.bus):
            _log.warning(
                "%s was absent and is a virtual bus now. If it is a controller's name: remove the "
                "network, plug the controller in, or create it with %s=physical, which waits",
                network.bus,
                KIND,
                extra=about(network=network_id, interface=network.bus),
            )

    async def delete_network(self, network_id: str) -> None:
        """Remove a network and what was created for it; an unknown one is no error."""
        outcome = await self._queue.run(DeleteNetwork(network_id))
        raise_error(outcome)
        known = _before(outcome).networks.get(network_id)
        if known is not None:
            _log.info(
                "Network %s of bus %s was removed",
                network_id[:12],
                known.bus,
                extra=about(network=network_id, interface=known.bus),
            )

    async def create_endpoint(
        self, network_id: str, endpoint_id: str, options: Mapping[str, object]
    ) -> None:
        """Record an endpoint and create its vxcan pair on the host.

        Raises:
            OptionError: an option is wrong; nothing was changed.
            UnknownNetwork: the network is not known.
            CannotServe: the kernel cannot serve it; nothing was left behind.
        """
        wanted = endpoint_options(options, ifname_applied=self._ifname_applied)
        change = CreateEndpoint(network_id, endpoint_id, wanted)
        async with self._transactions.commit(change) as outcome:
            bus = _bus_of(outcome.state, network_id)
            _require_served(outcome.state, bus, self._startable, endpoint_id)
        self._warn_of_published_ports(network_id, endpoint_id, options)

    async def join(
        self, network_id: str, endpoint_id: str, options: Mapping[str, object] = NONE
    ) -> JoinAnswer:
        """Make an endpoint a member of its bus, and restore whatever is missing for it.

        Raises:
            UnknownNetwork: the network is not known.
            OptionError: something on the host keeps the name that it is to have.
            CannotServe: the kernel cannot serve it.
        """
        until = time.monotonic() + _NAME_TIMEOUT
        call_lines.join_finds(await self._queue.current(), network_id, endpoint_id)
        async with self._transactions.commit(Join(network_id, endpoint_id)) as outcome:
            state = await self._wait_for_name(outcome.state, endpoint_id, until)
            bus = _bus_of(state, network_id)
            _require_served(state, bus, self._startable, endpoint_id)
        endpoint = state.declared.endpoints.get(endpoint_id)
        if endpoint is None:
            raise RequestError(
                f"endpoint {endpoint_id} was deleted while it joined", "start the container again"
            )
        _log.info(
            "Joined: %s is a member of %s",
            endpoint.host_end,
            bus,
            extra=about(network=network_id, endpoint=endpoint_id, interface=endpoint.host_end),
        )
        self._warn_of_published_ports(network_id, endpoint_id, options)
        return JoinAnswer(endpoint.container_end, endpoint.peer_prefix, endpoint.ifname)

    async def leave(self, endpoint_id: str) -> None:
        """End a membership; an unknown endpoint is no error."""
        outcome = await self._queue.run(Leave(endpoint_id))
        raise_error(outcome)
        known = _before(outcome).endpoints.get(endpoint_id)
        if known is not None and known.is_member:
            _log.info(
                "Left: %s is no longer a member",
                known.host_end,
                extra=about(network=known.network, endpoint=endpoint_id, interface=known.host_end),
            )

    async def delete_endpoint(self, endpoint_id: str) -> None:
        """Remove an endpoint and delete its pair; an unknown one is no error."""
        self._warned_of_ports.discard(endpoint_id)
        raise_error(await self._queue.run(DeleteEndpoint(endpoint_id)))

    async def adopt(
        self, claims: Sequence[NetworkClaim], *, prune: Collection[str]
    ) -> tuple[Adoption, Mapping[str, list[str]]]:
        """Take the networks and running containers that the engine lists into the state.

        Arguments and result are those of ``adopter.run_adoption``.
        """
        # Most plugins never adopt anything, so its modules are loaded when they are needed.
        from evercan.libnetwork.adopter import run_adoption  # noqa: PLC0415

        return await run_adoption(self._queue, claims, prune=prune)

    async def set_fault(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Set a fault; arguments, result and errors are those of ``libnetwork.faults``."""
        # Most plugins never have a fault, so its modules are loaded when they are needed.
        from evercan.libnetwork import faults  # noqa: PLC0415

        return await faults.set_fault(self._transactions, faults.parse_set(fields))

    async def clear_faults(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Clear faults; arguments, result and errors are those of ``libnetwork.faults``."""
        from evercan.libnetwork import faults  # noqa: PLC0415

        return await faults.clear_faults(self._queue, faults.parse_clear(fields))

    def _warn_of_published_ports(
        self, network_id: str, endpoint_id: str, options: Mapping[str, object]
    ) -> None:
        """Warn of published ports, once for each endpoint.

        Which call has the ports depends on the engine's release: up to 27 both, later Join.
        """
        ports = published_ports(options)
        if ports and endpoint_id not in self._warned_of_ports:
            self._warned_of_ports.add(endpoint_id)
            call_lines.published_by_bus(network_id, endpoint_id, ports)

    async def _wait_for_name(self, state: State, endpoint_id: str, until: float) -> State:
        """Wait while another interface on the host has the name that this one is to have.

        Containers that start at once may have the same ``vxcan.name``; their interfaces
        pass through the host one after another, since the kernel gives a name only there.

        Args:
            state: the host as the Join left it.
            endpoint_id: of the container that joins.
            until: when to give up, in seconds of the monotonic clock.

        Returns:
            The state in which the name is free or the endpoint has it.

        Raises:
            OptionError: the other interface has not left the host in time.
        """
        first, longest = _NAME_INTERVALS
        intervals = Backoff(first=first, longest=longest)
        while True:
            endpoint = state.declared.endpoints.get(endpoint_id)
            holder = None if endpoint is None else name_holder(state.observed, endpoint)
            if endpoint is None or endpoint.altname is None or holder is None:
                return state
            if time.monotonic() > until:
                raise OptionError(
                    NAME,
                    endpoint.altname,
                    f"the host's interface {holder.name} has that name",
                    "choose another, or start the container again when that interface is gone",
                )
            await asyncio.sleep(intervals.next())
            state = (await self._queue.check()).state


def _before(outcome: Outcome) -> Declared:
    """Return what was declared before a change; nothing if it was not applied."""
    return Declared() if outcome.before is None else outcome.before


def _bus_of(state: State, network_id: str) -> str:
    network = state.declared.networks.get(network_id)
    if network is None:
        raise UnknownNetwork(network_id)
    return network.bus


def _require_served(
    state: State,
    bus: str,
    acceptable: Collection[ProblemKind],
    endpoint_id: str | None = None,
) -> None:
    """Raise ``CannotServe`` if a bus or an endpoint has problems that are not acceptable.

    The error then names all problems, so that nobody meets them one after another.
    """
    problems = state.problems_of(bus, endpoint_id)
    if all(problem.kind in acceptable for problem in problems):
        return
    if len(problems) == 1:
        raise CannotServe(problems[0].text, problems[0].remedy)
    raise CannotServe("; ".join(dict.fromkeys(map(str, problems))))
