"""A bus with faults that ``evercan fault`` sets, and the frames that arrive on it nevertheless."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.test_access import Access


class FaultyBus:
    """A bus, and the plugin's faults on it.

    Attributes:
        access: the members.
        sends: the frames that members send, each with its CAN id and its kind.
    """

    def __init__(
        self,
        testbed: Testbed,
        plugin: PluginProcess,
        bus: Bus,
        sends: Mapping[str, Sequence[tuple[int, str]]],
    ) -> None:
        """Take a bus without members, and what they are to send."""
        self.access = Access(testbed, bus)
        self.sends = sends
        self.testbed = testbed
        self.plugin = plugin
        self.bus = bus

    def endpoint(self, name: str) -> str:
        """Return what the plugin calls a member."""
        if name in ("", "host"):
            return self.bus.interface if name else ""
        container = self.access.containers[name]
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"]
        return str(networks[self.bus.name]["EndpointID"])

    def post(self, verb: str, **fields: str) -> tuple[int, dict[str, Any]]:
        """Call the plugin as the command does."""
        named = {
            field: self.endpoint(value) if field in ("From", "To") else value
            for field, value in fields.items()
        }
        body = {"NetworkID": self.bus.network_id, **named}
        return self.plugin.ask(f"/{verb}", json.dumps(body).encode())

    @contextmanager
    def set(self, **fields: str) -> Iterator[None]:
        """Set a fault, for each of several receivers, for the duration of a block."""
        receivers = fields.pop("To", "").split()
        try:
            for receiver in receivers or [""]:
                status, answer = self.post("fault-set", To=receiver, **fields)
                assert status == 200, answer
            yield
        finally:
            assert self.post("fault-clear")[0] == 200

    def traffic(self, **request: Any) -> dict[str, Any]:
        """Let every member send, and count what the others receive."""
        return self.access.traffic({**self.sends}, **request)

    def assert_unaffected(
        self, found: dict[str, Any], *affected: str, receivers: tuple[str, ...] = ()
    ) -> None:
        """Assert that all frames arrived once, except some frames at some receivers."""
        for receiver in self.sends:
            expected = {
                frame: times
                for sender, frames in found["sent"].items()
                for frame, times in frames.items()
                if sender != receiver
            }
            received = found["received"][receiver]
            for frame in affected if receiver in receivers else ():
                expected.pop(frame, None)
                received.pop(frame, None)
            assert received == expected, receiver
            if receiver not in receivers:
                assert found["double"][receiver] == 0

    def shown(self) -> list[dict[str, Any]]:
        """Return the faults of the bus as ``/status`` shows them."""
        networks = self.plugin.ask("/status")[1]["networks"]
        found: list[dict[str, Any]] = next(
            network["faults"] for network in networks if network["bus"] == self.bus.interface
        )
        return found

    def queues(self) -> list[str]:
        """Return the interfaces of the bus that have a queue of the plugin's, or of others."""
        ends = {self.bus.interface, *map(self.access.host_end, self.access.containers)}
        return [
            qdisc["dev"]
            for qdisc in json.loads(self.testbed.host("tc", "-json", "qdisc").stdout)
            if qdisc["kind"] == "prio" and qdisc["dev"] in ends
        ]
