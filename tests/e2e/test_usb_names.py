"""udev names USB adapters by their serial numbers, and networks use these names.

In a module of its own: a network that waits for ``can2`` would configure an adapter that has this
name for a moment, before udev renames it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from lab.usb_adapters import UsbAdapters
from tests.e2e.health import assert_no_problems
from tests.e2e.usb_bus import FD_SETTINGS, TIMING, UsbBus, replug
from tools.common.polling import wait_until

_LINK_FOLDER = "/run/systemd/network"
_LINK_FILE = """[Match]
Property=ID_USB_SERIAL_SHORT={serial}

[Link]
Name={name}
"""


@pytest.fixture
def fixed_names(testbed: Testbed) -> Iterator[dict[str, str]]:
    """Give the FD adapters names by their serial numbers, as examples/hardware recommends."""
    names = {"FD0": "canpower0", "FD1": "canbody0"}
    files = [f"{_LINK_FOLDER}/70-{name}.link" for name in names.values()]
    try:
        for file, (serial, name) in zip(files, names.items(), strict=True):
            text = _LINK_FILE.format(serial=serial, name=name).encode()
            testbed.host("sh", "-c", f"mkdir -p {_LINK_FOLDER}; cat > {file}", stdin=text)
        testbed.host("udevadm", "control", "--reload")
        yield names
    finally:
        testbed.host("rm", "-f", *files)
        testbed.host("udevadm", "control", "--reload")


@pytest.mark.thorough
def test_names_by_serial_number_stay_in_whatever_order_adapters_are_plugged_in(
    testbed: Testbed,
    adapters: UsbAdapters,
    plugin: PluginProcess,
    fixed_names: dict[str, str],
) -> None:
    def plug_in(*order: str) -> None:
        replug(adapters, *order)
        wait_until(
            lambda: {serial: adapters.interface(serial) for serial in order} == fixed_names,
            20,
            "the names",
        )

    plug_in("FD0", "FD1")
    bus = UsbBus(testbed, adapters, "FD0", "FD1", **FD_SETTINGS)
    try:
        bus.start(1)
        plug_in("FD1", "FD0")
        bus.bring_up_other()
        wait_until(lambda: bus.timing() == TIMING, 15, "the settings of the bus")
        bus.wait_healthy()
        bus.assert_healthy(3)
        assert_no_problems(plugin)
        assert plugin.ask("/health")[1]["warnings"] == []
    finally:
        bus.remove()
