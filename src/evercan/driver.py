"""The libnetwork verbs: edit the intent, let it be made true, answer.

Every verb is idempotent and may run concurrently with any other. A verb that
fails takes back what it asked for, so that nothing stays half done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from evercan import intent
from evercan.adoption import Adoption, NetworkClaim, adopt
from evercan.bus_choice import looks_like_hardware
from evercan.errors import EvercanError, OptionError, RequestError, UnknownNetwork
from evercan.log import about
from evercan.model import Declared, Observed, Phase
from evercan.options import KIND, NAME, endpoint_options, network_options
from evercan.plan import Problem, Trouble, name_holder
from evercan.reconciler import Edit
from evercan.turns import Turns

_WAITABLE = frozenset({Trouble.BUS_ABSENT, Trouble.BUS_DOWN, Trouble.BUS_OFF})
"""Troubles that a network may be made in: the bus is wired when they end."""

_STARTABLE = _WAITABLE | {Trouble.BUS_SETTINGS}
"""Troubles that a container may start in: those, and a controller that was set otherwise since."""

_NAME_PATIENCE = 5.0
"""Seconds that a Join waits until the engine has taken another interface of the same name."""

_NAME_INTERVAL = 0.05

_UNDO_PATIENCE = 1.0
"""Seconds that a failed call waits for its undoing."""

_log = logging.getLogger(__name__)


class Unserved(EvercanError):  # noqa: N818 - reads as the fact that it states
    """The kernel could not be brought to what was asked."""

    def __init__(self, problems: list[Problem]) -> None:
        """Join the problems' texts, each of which has its remedy."""
        super().__init__("; ".join(dict.fromkeys(each.text for each in problems)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
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
        self._patient = patient
        self._undoing: set[asyncio.Task[None]] = set()

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

        await self._carry_out(record, undo, lambda: self._demand(wanted.bus, _WAITABLE))
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
            self._demand(self._bus(network_id), _STARTABLE, endpoint_id)

        await self._carry_out(record, undo, demand)

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
            self._demand(self._bus(network_id), _STARTABLE, endpoint_id)

        await self._carry_out(record, undo, demand, lambda: self._wait_for_name(endpoint_id))
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
        self, claims: Sequence[NetworkClaim], *, prune: bool
    ) -> tuple[Adoption, Mapping[str, list[str]]]:
        """Take into the record what the engine lists of networks and running containers.

        Returns:
            What was done, and by network or endpoint id what is not well with it.
        """
        done = Adoption()

        def record(declared: Declared, observed: Observed) -> Declared:
            nonlocal done
            after, done = adopt(declared, observed, claims, prune=prune)
            return after

        await self._turns.change(record)
        state = self._turns.state
        troubles: dict[str, list[str]] = {}
        for network, members in done.networks:
            shared = [each.text for each in state.troubles(network.interface) if each.bus]
            troubles[network.id] = list(dict.fromkeys(shared))
            for each in members:
                own = [one.text for one in state.problems if one.endpoint == each.id]
                troubles[each.id] = list(dict.fromkeys(own))
            _log.info(
                "Network %s %s on %s with %d endpoints",
                network.id[:12],
                network.outcome,
                network.interface or "no bus",
                len(members),
                extra=about(network=network.id, interface=network.interface),
            )
        for stray in done.strays:
            _log.info(
                "Network %s is not the engine's: %s",
                stray.id[:12],
                stray.outcome,
                extra=about(network=stray.id, interface=stray.interface),
            )
        return done, troubles

    async def _carry_out(
        self,
        record: Edit,
        undo: Edit,
        demand: Callable[[], None],
        wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Record what was asked, let it be made true, and take it back if that fails.

        Args:
            record: puts it into the intent.
            undo: takes out of the intent what ``record`` has put there, and no more.
            demand: raises if it is not there.
            wait: for what is in its way and will go.
        """
        try:
            await self._turns.change(record)
            if wait is not None:
                await wait()
            demand()
        except BaseException:
            await self._take_back(undo)
            raise

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

    def _demand(
        self, bus: str, waitable: Collection[Trouble], endpoint_id: str | None = None
    ) -> None:
        """Raise ``Unserved`` unless what was asked is there, or may be waited for."""
        troubles = self._turns.state.troubles(bus, endpoint_id)
        blocking = [each for each in troubles if not self._patient or each.kind not in waitable]
        if blocking:
            raise Unserved(blocking)

    async def _take_back(self, edit: Edit) -> None:
        """Undo an intent whose call fails; the call's own error is the one to report.

        Waits a second at the most: the call may fail because turns take too long,
        and then the undoing comes with a later one.
        """
        undoing = asyncio.create_task(self._turns.change(edit))
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undone)
        await asyncio.wait([undoing], timeout=_UNDO_PATIENCE)

    def _undone(self, undoing: asyncio.Task[None]) -> None:
        self._undoing.discard(undoing)
        if not undoing.cancelled() and (error := undoing.exception()) is not None:
            _log.error(
                "Could not take back a failed call: %s; remove what it was for "
                "(docker rm, docker network rm)",
                error,
            )


def _warn_of_foreign_options(network_id: str, options: Mapping[str, object]) -> None:
    foreign = [key for key in options if not key.startswith("vxcan.")]
    if foreign:
        _log.warning(
            "Options that are not evercan's are ignored: %s",
            ", ".join(sorted(foreign)),
            extra=about(network=network_id),
        )
