"""The libnetwork verbs: edit the intent, let it be made true, answer.

Every verb is idempotent and may run concurrently with any other. A verb that
fails takes back what it asked for, so that nothing stays half done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from evercan import intent
from evercan.adopter import take_in
from evercan.adoption import Adoption, NetworkClaim
from evercan.bus_choice import looks_like_hardware
from evercan.errors import OptionError, RequestError, UnknownNetwork
from evercan.log import about
from evercan.model import Declared, Observed, Phase
from evercan.options import KIND, NAME, endpoint_options, network_options
from evercan.plan import name_holder
from evercan.troubles import Trouble
from evercan.turns import Turns
from evercan.undertaking import Undertakings

_WAITABLE = frozenset({Trouble.BUS_ABSENT, Trouble.BUS_DOWN, Trouble.BUS_OFF})
"""Troubles that a network may be made in: the bus is wired when they end."""

_STARTABLE = _WAITABLE | {Trouble.BUS_SETTINGS}
"""Troubles that a container may start in: those, and a controller that was set otherwise since."""

_NAME_PATIENCE = 7.5
"""Seconds that a Join waits until the engine has taken another interface of the same name."""

_NAME_INTERVAL = 0.05

_log = logging.getLogger(__name__)


class JoinAnswer(NamedTuple):
    """What the engine needs to take the container end.

    Attributes:
        source: the container end's name on the host (``SrcName``).
        prefix: what the engine calls it inside, before the index it appends
            (``DstPrefix``).
    """

    source: str
    prefix: str


class Driver:
    """The verbs of ``NetworkDriver``, by the names that the engine gives them."""

    def __init__(self, turns: Turns, *, patient: bool = True) -> None:
        """Take the way to the reconciler.

        Args:
            turns: carries edits there.
            patient: containers may start on a bus that waits for its hardware.
        """
        self._turns = turns
        self._calls = Undertakings(turns, patient=patient)

    async def create_network(self, network_id: str, options: Mapping[str, object]) -> None:
        """Record a network and make its bus interface if there is none.

        Raises:
            OptionError: an option is wrong; nothing was changed.
            Unserved: the kernel cannot serve it; nothing was left behind.
        """
        wanted = network_options(options)
        _warn_of_foreign_options(network_id, options)
        made = False

        def record(declared: Declared, observed: Observed) -> Declared:
            nonlocal made
            after = intent.create_network(declared, observed, network_id, wanted)
            made = network_id not in declared.networks
            return after

        def undo(declared: Declared, _: Observed) -> Declared:
            return declared.without_network(network_id) if made else declared

        await self._calls.carry_out(record, undo, lambda: self._calls.demand(wanted.bus, _WAITABLE))
        bus = self._turns.state.declared.networks.get(network_id)
        if bus is None:
            raise RequestError(
                f"network {network_id} was deleted while it was being created; create it again"
            )
        _log.info(
            "Network %s is bus %s (%s, %s)",
            network_id[:12],
            bus.bus,
            bus.kind,
            "made by evercan" if bus.owns_bus else "found on the host",
            extra=about(network=network_id, interface=bus.bus),
        )
        if wanted.kind is None and bus.owns_bus and looks_like_hardware(bus.bus):
            _log.warning(
                "%s was absent and is a virtual bus now. If it is a controller's name: remove the "
                "network, plug the controller in, or create it with %s=physical, which waits",
                bus.bus,
                KIND,
                extra=about(network=network_id, interface=bus.bus),
            )

    async def delete_network(self, network_id: str) -> None:
        """Forget a network and remove what was made for it; the unknown is no error."""
        known = self._turns.state.declared.networks.get(network_id)
        await self._turns.change(lambda declared, _: declared.without_network(network_id))
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
        """Record an endpoint and make its vxcan pair on the host.

        Raises:
            OptionError: an option is wrong; nothing was changed.
            UnknownNetwork: the network is not on record.
            Unserved: the kernel cannot serve it; nothing was left behind.
        """
        wanted = endpoint_options(options)
        made = False

        def record(declared: Declared, observed: Observed) -> Declared:
            nonlocal made
            after = intent.create_endpoint(declared, observed, network_id, endpoint_id, wanted)
            made = endpoint_id not in declared.endpoints
            return after

        def undo(declared: Declared, _: Observed) -> Declared:
            return declared.without_endpoint(endpoint_id) if made else declared

        def demand() -> None:
            self._calls.demand(self._bus(network_id), _STARTABLE, endpoint_id)

        await self._calls.carry_out(record, undo, demand)

    async def join(self, network_id: str, endpoint_id: str) -> JoinAnswer:
        """Make an endpoint a member of its bus, recovering whatever is missing for it.

        Raises:
            UnknownNetwork: the network is not on record.
            OptionError: something on the host keeps the name that it is to have.
            Unserved: the kernel cannot serve it.
        """
        declared = self._turns.state.declared
        known = declared.endpoints.get(endpoint_id)
        interface = {} if known is None else {"interface": known.host_end}
        if network_id in declared.networks and (known is None or known.phase is Phase.DORMANT):
            _log.info(
                "Endpoint %s not found in memory (likely post-reboot), recreating",
                endpoint_id[:12],
                extra=about(network=network_id, endpoint=endpoint_id, **interface),
            )
        elif known is not None and known.host_end in self._turns.state.observed.links:
            _log.info(
                "Interface %s already exists, no recreation needed",
                known.host_end,
                extra=about(network=network_id, endpoint=endpoint_id, interface=known.host_end),
            )

        made = False

        def record(declared: Declared, observed: Observed) -> Declared:
            nonlocal made
            before = declared.endpoints.get(endpoint_id)
            after = intent.join(declared, observed, network_id, endpoint_id)
            made = before is None or not before.is_member
            return after

        def undo(declared: Declared, _: Observed) -> Declared:
            # A repeated Join that fails must not end the membership of a running container.
            return intent.leave(declared, endpoint_id) if made else declared

        def demand() -> None:
            self._calls.demand(self._bus(network_id), _STARTABLE, endpoint_id)

        await self._calls.carry_out(record, undo, demand, lambda: self._wait_for_name(endpoint_id))
        endpoint = self._turns.state.declared.endpoints.get(endpoint_id)
        if endpoint is None:
            raise RequestError(
                f"endpoint {endpoint_id} was deleted while it joined; start the container again"
            )
        _log.info(
            "Joined: %s is a member of %s",
            endpoint.host_end,
            self._bus(network_id),
            extra=about(network=network_id, endpoint=endpoint_id, interface=endpoint.host_end),
        )
        return JoinAnswer(source=endpoint.container_end, prefix=endpoint.peer_prefix)

    async def leave(self, endpoint_id: str) -> None:
        """End a membership; the unknown is no error."""
        known = self._turns.state.declared.endpoints.get(endpoint_id)
        await self._turns.change(lambda declared, _: intent.leave(declared, endpoint_id))
        if known is not None and known.is_member:
            _log.info(
                "Left: %s is a member no more",
                known.host_end,
                extra=about(network=known.network, endpoint=endpoint_id, interface=known.host_end),
            )

    async def delete_endpoint(self, endpoint_id: str) -> None:
        """Forget an endpoint and delete its pair; the unknown is no error."""
        await self._turns.change(
            lambda declared, observed: intent.delete_endpoint(declared, observed, endpoint_id)
        )

    async def adopt(
        self, claims: Sequence[NetworkClaim], *, prune: Collection[str]
    ) -> tuple[Adoption, Mapping[str, list[str]]]:
        """Take into the record what the engine lists of networks and running containers.

        Returns:
            What was done, and by network or endpoint id what is not well with it.
        """
        return await take_in(self._turns, claims, prune=prune)

    def _bus(self, network_id: str) -> str:
        network = self._turns.state.declared.networks.get(network_id)
        if network is None:
            raise UnknownNetwork(network_id)
        return network.bus

    async def _wait_for_name(self, endpoint_id: str) -> None:
        """Wait while another interface on the host has the name that this one is to have.

        Containers that start at once may have the same ``vxcan.name``; their interfaces
        pass through the host one after another, since the kernel gives a name only there.
        """
        until = time.monotonic() + _NAME_PATIENCE
        while True:
            state = self._turns.state
            endpoint = state.declared.endpoints.get(endpoint_id)
            holder = None if endpoint is None else name_holder(state.observed, endpoint)
            if endpoint is None or endpoint.altname is None or holder is None:
                return
            if time.monotonic() > until:
                raise OptionError(
                    NAME,
                    endpoint.altname,
                    f"the host's interface {holder.name} has that name",
                    "choose another, or start the container again when that one is gone",
                )
            await asyncio.sleep(_NAME_INTERVAL)
            await self._turns.check()


def _warn_of_foreign_options(network_id: str, options: Mapping[str, object]) -> None:
    foreign = [key for key in options if not key.startswith("vxcan.")]
    if foreign:
        _log.warning(
            "Options that are not evercan's are ignored: %s",
            ", ".join(sorted(foreign)),
            extra=about(network=network_id),
        )
