"""The engine's side of the protocol: the same calls, fields and order.

The sequences are those of ``network.go``, ``endpoint.go`` and ``sandbox.go`` in moby's
``daemon/libnetwork`` (``LN`` below).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from tests.support.http import Answer, exchange, request
from tests.support.shared_kernel import SharedKernel

STATUS_SCHEMA = Draft202012Validator(
    orjson.loads((Path(__file__).parents[2] / "docs/status.schema.json").read_bytes())
)
"""The schema that every answer to ``GET /status`` must fulfil."""


class EngineError(Exception):
    """An error that ``docker`` would print."""


def engine_id(name: str) -> str:
    """Return an id of 64 hex digits, as the engine's are, for a readable name."""
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Container:
    """A started container's attachment to one network."""

    network: str
    endpoint: str
    nsid: int
    source: str
    inside: str

    @property
    def host_end(self) -> str:
        """The other end of its pair; evercan names the ends NAME and NAMEp."""
        return self.source.removesuffix("p")


class Engine:
    """An engine that calls one network plugin and moves interfaces on its kernel."""

    def __init__(self, path: Path, kernel: SharedKernel, *, applies_names: bool = False) -> None:
        """Take the plugin's socket and the kernel.

        Args:
            path: the socket.
            kernel: the kernel on which interfaces are moved.
            applies_names: apply the ``DstName`` of Join, as engines do from 29.8 on.
        """
        self.path = path
        self._applies_names = applies_names
        self.kernel = kernel
        self._nsids = count(1)

    # --- single calls ------------------------------------------------------

    async def send(self, verb: str, body: bytes) -> Answer:
        """Send a request body as it is."""
        name = verb if "." in verb else f"NetworkDriver.{verb}"
        answer = await exchange(self.path, request(name, body))
        assert answer is not None, f"{name} got no answer"
        return answer

    async def post(self, verb: str, **fields: object) -> Answer:
        """Send fields as JSON; return the answer, also if it is an error."""
        return await self.send(verb, orjson.dumps(fields))

    async def call(self, verb: str, **fields: object) -> dict[str, Any]:
        """Send fields as JSON; return the answer's document.

        Raises:
            EngineError: the plugin answered with an ``Err``.
        """
        answer = await self.post(verb, **fields)
        if not answer.ok:
            raise EngineError(answer.err or f"{verb} answered {answer.status}")
        return answer.document

    async def get(self, page: str) -> Answer:
        """Read a page, for example ``health``, as an operator does."""
        answer = await exchange(self.path, request(page, b"", method="GET"))
        assert answer is not None
        if page == "status" and answer.status == 200:
            STATUS_SCHEMA.validate(answer.document)
        return answer

    # --- sequences ------------------------------------------------------------

    async def activate(self) -> None:
        """Make the two calls of ``docker plugin enable``, which have an empty body.

        They are answered before the state is loaded.
        """
        activated = await self.send("Plugin.Activate", b"")
        assert activated.document == {"Implements": ["NetworkDriver"]}
        capabilities = await self.send("GetCapabilities", b"")
        assert capabilities.document["Scope"] == "local"

    async def enable(self) -> None:
        """Activate the plugin, and wait for the pass with which it starts."""
        await self.activate()
        await self.get("health")

    async def create_network(self, network: str, **options: str) -> None:
        """Create a network with options, whose names are given without their ``vxcan.``."""
        generic = {f"vxcan.{key}": value for key, value in options.items()}
        await self.create_network_with(network, generic or None)

    async def create_network_with(self, network: str, generic: Mapping[str, object] | None) -> None:
        """Create a network with driver options as they are given."""
        await self.call("GwAllocCheck", Options={})
        await self.call(
            "CreateNetwork",
            NetworkID=network,
            Options={
                "com.docker.network.enable_ipv4": True,
                "com.docker.network.enable_ipv6": False,
                "com.docker.network.generic": generic,
            },
            IPv4Data=[
                {
                    "AddressSpace": "LocalDefault",
                    "Pool": "172.18.0.0/16",
                    "Gateway": "172.18.0.1/16",
                    "AuxAddresses": {},
                }
            ],
            IPv6Data=[],
        )

    async def delete_network(self, network: str) -> None:
        await self.call("DeleteNetwork", NetworkID=network)

    async def create_endpoint(self, network: str, endpoint: str, **options: object) -> None:
        await self.call(
            "CreateEndpoint",
            NetworkID=network,
            EndpointID=endpoint,
            Interface={"Address": "172.18.0.2/16", "AddressIPv6": "", "MacAddress": ""},
            Options={
                "com.docker.network.endpoint.exposedports": [],
                "com.docker.network.portmap": [],
                **options,
            },
        )

    async def join(self, network: str, endpoint: str, **options: object) -> dict[str, Any]:
        return await self.call(
            "Join",
            NetworkID=network,
            EndpointID=endpoint,
            SandboxKey=f"/var/run/docker/netns/{endpoint[:12]}",
            Options={"com.docker.network.endpoint.exposedports": [], **options},
        )

    def move_inside(self, network: str, endpoint: str, joined: Mapping[str, Any]) -> Container:
        """Move the interface that Join has named into a new container."""
        names = joined["InterfaceName"]
        nsid, inside = next(self._nsids), f"{names['DstPrefix']}0"
        if self._applies_names:
            inside = names.get("DstName") or inside
        self.kernel.move_in(names["SrcName"], nsid, inside)
        return Container(network, endpoint, nsid, names["SrcName"], inside)

    async def start(self, network: str, endpoint: str, **options: object) -> Container:
        """Start a container, or connect a running one."""
        await self.create_endpoint(network, endpoint, **options)
        joined = await self.join(network, endpoint)
        await self.call("EndpointOperInfo", NetworkID=network, EndpointID=endpoint)
        return self.move_inside(network, endpoint, joined)

    async def leave(self, container: Container) -> None:
        """Leave, then move the container end back to the host."""
        await self.call("Leave", NetworkID=container.network, EndpointID=container.endpoint)
        self.kernel.move_out(container.nsid, container.inside, container.source)

    async def delete_endpoint(self, container: Container) -> None:
        await self.call(
            "DeleteEndpoint", NetworkID=container.network, EndpointID=container.endpoint
        )

    async def stop(self, container: Container) -> None:
        """Stop a container, or disconnect a running one."""
        await self.leave(container)
        await self.delete_endpoint(container)

    async def remove_stale_endpoints(self, stale: list[Container]) -> None:
        """Remove endpoints, as an engine does first after a power cut (``LN/controller.go``)."""
        await self.send("GetCapabilities", b"")
        for container in stale:
            await self.call("Leave", NetworkID=container.network, EndpointID=container.endpoint)
            await self.delete_endpoint(container)

    async def start_many(self, network: str, endpoints: list[str]) -> list[Container]:
        """Start containers at the same moment, as ``docker compose up`` does."""
        starts = (self.start(network, endpoint) for endpoint in endpoints)
        return list(await asyncio.gather(*starts))

    async def stop_many(self, containers: list[Container]) -> None:
        """Stop containers at the same moment."""
        await asyncio.gather(*map(self.stop, containers))
