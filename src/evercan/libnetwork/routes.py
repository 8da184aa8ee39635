"""Maps each call of the protocol to the driver: which request it takes, what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from evercan.libnetwork.driver import Driver
from evercan.libnetwork.requests import (
    CreateEndpointRequest,
    CreateNetworkRequest,
    EndpointRequest,
    JoinRequest,
    NetworkRequest,
    parse_body,
)

Answer = Mapping[str, Any]
Verb = Callable[[bytes], Awaitable[Answer]]

_DONE: Answer = {}

# Calls for port mappings, swarm and discovery, in which evercan has nothing to do.
_NOTHING_TO_DO = (
    "ProgramExternalConnectivity",
    "RevokeExternalConnectivity",
    "DiscoverNew",
    "DiscoverDelete",
    "AllocateNetwork",
    "FreeNetwork",
)


class Routes:
    """Every call of the protocol, bound to one driver."""

    def __init__(self, driver: Driver) -> None:
        """Take the driver that the calls go to."""
        self._driver = driver

    def by_path(self) -> dict[str, Verb]:
        """Return the calls by their HTTP path without its slash."""
        verbs: dict[str, Verb] = {
            "GetCapabilities": self._get_capabilities,
            "GwAllocCheck": self._gw_alloc_check,
            "CreateNetwork": self._create_network,
            "DeleteNetwork": self._delete_network,
            "CreateEndpoint": self._create_endpoint,
            "EndpointOperInfo": self._endpoint_oper_info,
            "Join": self._join,
            "Leave": self._leave,
            "DeleteEndpoint": self._delete_endpoint,
            **dict.fromkeys(_NOTHING_TO_DO, self._nothing_to_do),
        }
        return {
            "Plugin.Activate": self._activate,
            "adopt": self._adopt,
            "fault-set": self._set_fault,
            "fault-clear": self._clear_faults,
            **{f"NetworkDriver.{name}": verb for name, verb in verbs.items()},
        }

    @staticmethod
    async def _activate(_: bytes) -> Answer:
        return {"Implements": ["NetworkDriver"]}

    @staticmethod
    async def _get_capabilities(_: bytes) -> Answer:
        return {"Scope": "local", "ConnectivityScope": "local", "GwAllocChecker": True}

    @staticmethod
    async def _gw_alloc_check(body: bytes) -> Answer:
        # A CAN bus has no gateway, so the engine's IPAM need not reserve an address for one.
        parse_body(body)
        return {"SkipIPv4": True, "SkipIPv6": True}

    async def _create_network(self, body: bytes) -> Answer:
        request = CreateNetworkRequest.parse(parse_body(body))
        await self._driver.create_network(request.network, request.options)
        return _DONE

    async def _delete_network(self, body: bytes) -> Answer:
        await self._driver.delete_network(NetworkRequest.parse(parse_body(body)).network)
        return _DONE

    async def _create_endpoint(self, body: bytes) -> Answer:
        request = CreateEndpointRequest.parse(parse_body(body))
        await self._driver.create_endpoint(request.network, request.endpoint, request.options)
        return _DONE

    @staticmethod
    async def _endpoint_oper_info(body: bytes) -> Answer:
        # An error here would fail the container's start, and there is nothing to report.
        EndpointRequest.parse(parse_body(body))
        return {"Value": {}}

    async def _join(self, body: bytes) -> Answer:
        request = JoinRequest.parse(parse_body(body))
        answer = await self._driver.join(request.network, request.endpoint, request.options)
        names = {"SrcName": answer.source, "DstPrefix": answer.prefix}
        if answer.name is not None:
            names["DstName"] = answer.name
        return {
            "InterfaceName": names,
            # Without it a container with no other network gets an interface on
            # docker_gwbridge and a default route.
            "DisableGatewayService": True,
        }

    async def _leave(self, body: bytes) -> Answer:
        await self._driver.leave(EndpointRequest.parse(parse_body(body)).endpoint)
        return _DONE

    async def _delete_endpoint(self, body: bytes) -> Answer:
        await self._driver.delete_endpoint(EndpointRequest.parse(parse_body(body)).endpoint)
        return _DONE

    async def _adopt(self, body: bytes) -> Answer:
        # Most plugins never adopt anything, so its modules are loaded when they are needed.
        from evercan.libnetwork.adopter import AdoptRequest, answer  # noqa: PLC0415

        request = AdoptRequest.parse(parse_body(body))
        return answer(*await self._driver.adopt(request.claims, prune=request.prune))

    async def _set_fault(self, body: bytes) -> Answer:
        return await self._driver.set_fault(parse_body(body))

    async def _clear_faults(self, body: bytes) -> Answer:
        return await self._driver.clear_faults(parse_body(body))

    @staticmethod
    async def _nothing_to_do(body: bytes) -> Answer:
        parse_body(body)
        return _DONE
