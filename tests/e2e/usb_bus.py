"""Networks on USB CAN adapters that the lab plays, and the wire that the adapters are on."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from typing import Any

from lab.errors import TestbedError
from lab.frames import ContainerMember, Deliveries, HostMember, count_deliveries
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from lab.usb_adapters import UsbAdapters
from tests.e2e.bus import Bus
from tools.common.polling import wait_until

MODELS = {"FD0": "gs_usb", "FD1": "gs_usb", "CC0": "gs_usb-classic", "RE0": "ucan"}
"""The adapters: two with CAN FD, one without, and one whose driver restarts it after bus-off."""

FD_SETTINGS = {
    "vxcan.bitrate": "500000",
    "vxcan.sample-point": "0.8",
    "vxcan.fd": "on",
    "vxcan.dbitrate": "2000000",
    "vxcan.dsample-point": "0.75",
    "vxcan.restart-ms": "100",
}
TIMING = {
    "up": True,
    "mtu": 72,
    "fd": True,
    "bitrate": 500000,
    "sample_point": "0.800",
    "dbitrate": 2000000,
    "dsample_point": "0.750",
}
"""What ``ip`` shows of a controller that has ``FD_SETTINGS``."""
LONG = "-f -b -L 64"
"""``cangen`` options of FD frames with the longest payload and two bitrates."""


class UsbBus(Bus):
    """A network on an adapter, and another adapter of the wire as a node that is not evercan's."""

    def __init__(
        self, testbed: Testbed, adapters: UsbAdapters, serial: str, other: str, **options: str
    ) -> None:
        """Create the network on the interface that the adapter ``serial`` has now."""
        self.testbed, self.adapters = testbed, adapters
        self.serial, self.other = serial, other
        super().__init__(
            testbed, adapters.interface(serial), **{"vxcan.kind": "physical", **options}
        )

    def bring_up_other(self, *, fd: bool = True) -> None:
        """Bring up the other adapter with the bitrates of ``FD_SETTINGS``."""
        name = self.adapters.interface(self.other)
        data = "dbitrate 2000000 fd on" if fd else ""
        script = f"ip link set {name} down; ip link set {name} up type can bitrate 500000 {data}"
        self.testbed.host("sh", "-c", script)

    def judge(self, count: int = 10, *, by_exec: bool = False, fd: bool = True) -> Deliveries:
        """Let containers, the host and the other node send frames, and count."""
        with ExitStack() as stack:
            members = self.members(by_exec=by_exec)
            for interface in (self.interface, self.adapters.interface(self.other)):
                member = HostMember(self.testbed, interface)
                members.append(stack.enter_context(closing(member)))
            return count_deliveries(members, count, fd=fd, gap_ms=20, fd_options=LONG)

    def shown(self, interface: str = "") -> dict[str, Any]:
        """Return an interface as ``ip -details`` shows it."""
        return self.links()[interface or self.interface]

    def timing(self) -> dict[str, Any]:
        """Return bitrates, modes and MTU of the network's controller."""
        link = self.shown()
        data = link["linkinfo"]["info_data"]
        return {
            "up": "UP" in link["flags"],
            "mtu": link["mtu"],
            "fd": "FD" in data.get("ctrlmode", []),
            "bitrate": data.get("bittiming", {}).get("bitrate"),
            "sample_point": data.get("bittiming", {}).get("sample_point"),
            "dbitrate": data.get("data_bittiming", {}).get("bitrate"),
            "dsample_point": data.get("data_bittiming", {}).get("sample_point"),
        }

    def received_long_frames(self) -> set[str]:
        """Return the flags of the FD frames of 64 bytes that the containers received."""
        found = set()
        for container in self.containers:
            for line in ContainerMember(container, "can0").received().splitlines():
                _, _, data = line.partition("##")
                if len(data.strip()) == 1 + 2 * 64:
                    found.add(data[0])
        return found


def status_of(plugin: PluginProcess, bus: str) -> dict[str, Any]:
    """Return what ``/status`` has of the network on a bus."""
    networks = plugin.ask("/status")[1]["networks"]
    (network,) = [network for network in networks if network["bus"] == bus]
    return dict(network)


def wait_for_state(plugin: PluginProcess, bus: str, state: str, patience: float = 10) -> float:
    """Wait until the controller of a bus has an error state; return the seconds."""

    def reached() -> bool:
        return bool(status_of(plugin, bus)["controller"]["state"] == state)

    return wait_until(reached, patience, f"{bus} to be {state}")


def replug(adapters: UsbAdapters, *serials: str) -> dict[str, str]:
    """Pull adapters out and plug them in, in this order; return their interfaces."""
    for serial in serials:
        with suppress(TestbedError):
            adapters.unplug(serial)
    return {serial: adapters.plug(serial) for serial in serials}
