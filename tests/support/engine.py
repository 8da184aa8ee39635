"""The engine's side of the protocol, in the engine's order and words.

``LN`` in moby is ``daemon/libnetwork``: the sequences here are those of its
``network.go``, ``endpoint.go`` and ``sandbox.go``.
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
"""What every answer to ``GET /status`` is held to."""


class EngineError(Exception):
    """What ``docker`` would print."""


def engine_id(name: str) -> str:
    """Make an id as the engine does, 64 hex digits, from a name that a test can read."""
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Container:
    """A started container's place on one network."""

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
    """An engine that knows one network plugin, and moves interfaces on its kernel."""

    def __init__(self, path: Path, kernel: SharedKernel) -> None:
        self.path = path
        self.kernel = kernel
        self._nsids = count(1)

    # --- single calls ------------------------------------------------------

    async def send(self, verb: str, body: bytes) -> Answer:
        """Send a body as it is."""
        name = verb if "." in verb else f"NetworkDriver.{verb}"
        answer = await exchange(self.path, request(name, body))
        assert answer is not None, f"{name} got no answer"
        return answer

    async def ask(self, verb: str, **fields: object) -> Answer:
        """Send fields as JSON; give back whatever comes."""
        return await self.send(verb, orjson.dumps(fields))

    async def call(self, verb: str, **fields: object) -> dict[str, Any]:
        """Send fields as JSON; an Err is an error, as in the engine."""
        answer = await self.ask(verb, **fields)
        if not answer.ok:
            raise EngineError(answer.err or f"{verb} answered {answer.status}")
        return answer.document

    async def look(self, page: str) -> Answer:
        """Look at a page as an operator does."""
        answer = await exchange(self.path, request(page, b"", method="GET"))
        assert answer is not None
        if page == "status" and answer.status == 200:
            STATUS_SCHEMA.validate(answer.document)
        return answer

    # --- sequences ------------------------------------------------------------

    async def enable(self) -> None:
        """Activate the plugin: both calls have an empty body."""
        activated = await self.send("Plugin.Activate", b"")
        assert activated.document == {"Implements": ["NetworkDriver"]}
        capabilities = await self.send("GetCapabilities", b"")
        assert capabilities.document["Scope"] == "local"

    async def create_network(self, network: str, **options: str) -> None:
        """``docker network create -o KEY=VALUE …``; keys without their ``vxcan.``."""
        generic = {f"vxcan.{key}": value for key, value in options.items()}
        await self.create_network_with(network, generic or None)

    async def create_network_with(self, network: str, generic: Mapping[str, object] | None) -> None:
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

    async def join(self, network: str, endpoint: str) -> dict[str, Any]:
        return await self.call(
            "Join",
            NetworkID=network,
            EndpointID=endpoint,
            SandboxKey=f"/var/run/docker/netns/{endpoint[:12]}",
            Options={"com.docker.network.endpoint.exposedports": []},
        )

    def take(self, network: str, endpoint: str, joined: Mapping[str, Any]) -> Container:
        """Move what Join offered into a new sandbox."""
        names = joined["InterfaceName"]
        nsid, inside = next(self._nsids), f"{names['DstPrefix']}0"
        self.kernel.take(names["SrcName"], nsid, inside)
        return Container(network, endpoint, nsid, names["SrcName"], inside)

    async def start(self, network: str, endpoint: str, **options: object) -> Container:
        """Start a container, or connect one."""
        await self.create_endpoint(network, endpoint, **options)
        joined = await self.join(network, endpoint)
        await self.call("EndpointOperInfo", NetworkID=network, EndpointID=endpoint)
        return self.take(network, endpoint, joined)

    async def leave(self, container: Container) -> None:
        """Leave, then hand the container end back."""
        await self.call("Leave", NetworkID=container.network, EndpointID=container.endpoint)
        self.kernel.give_back(container.nsid, container.inside, container.source)

    async def delete_endpoint(self, container: Container) -> None:
        await self.call(
            "DeleteEndpoint", NetworkID=container.network, EndpointID=container.endpoint
        )

    async def stop(self, container: Container) -> None:
        """Stop a container, or disconnect one."""
        await self.leave(container)
        await self.delete_endpoint(container)

    async def sweep_stale_endpoints(self, stale: list[Container]) -> None:
        """What an engine does first after an unclean reboot (``LN/controller.go``)."""
        await self.send("GetCapabilities", b"")
        for each in stale:
            await self.call("Leave", NetworkID=each.network, EndpointID=each.endpoint)
            await self.delete_endpoint(each)

    async def start_many(self, network: str, endpoints: list[str]) -> list[Container]:
        """Start containers all at once, as ``docker compose up`` does."""
        return list(await asyncio.gather(*(self.start(network, each) for each in endpoints)))

    async def stop_many(self, containers: list[Container]) -> None:
        await asyncio.gather(*map(self.stop, containers))
