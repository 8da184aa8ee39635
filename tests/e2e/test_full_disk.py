"""A full or read-only disk stops no repair; calls are rejected with the reason until it heals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from docker.errors import APIError

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL
from tests.e2e.health import assert_no_problems, reasons
from tests.e2e.thorough import only_quick
from tools.common.polling import wait_until

DISKS = {
    "full": ("cat /dev/zero > {folder}/filler 2>/dev/null || true", "rm {folder}/filler"),
    "read-only": ("mount -o remount,ro {folder}", "mount -o remount,rw {folder}"),
}
"""By name, how a disk breaks and how it is repaired."""


@contextmanager
def disk_of_its_own(testbed: Testbed) -> Iterator[str]:
    """Give the plugin's state a small disk for the duration of a block; yield its folder.

    The mount reaches the running plugin: the engine shares its state folder with it.
    """
    root = testbed.client().info()["DockerRootDir"]
    found = testbed.host("sh", "-c", f"echo {root}/plugins/*/propagated-mount")
    folder = found.stdout.decode().strip()
    aside = "/run/evercan-aside"
    keep = f"mkdir {aside}; cp {folder}/state*.json {aside}"
    put_back = f"cp {aside}/state*.json {folder}; rm -r {aside}"
    small = f"mount -t tmpfs -o size=64k,mode=700 evercan {folder}"
    testbed.host("sh", "-ec", f"{keep}; {small}; {put_back}")
    try:
        yield folder
    finally:
        testbed.host("sh", "-ec", f"{keep}; umount {folder}; {put_back}")


@pytest.mark.parametrize("disk", only_quick(["full"], DISKS))
def test_running_containers_are_repaired_and_calls_are_rejected_until_the_disk_heals(
    trio: Bus, testbed: Testbed, plugin: PluginProcess, disk: str
) -> None:
    with disk_of_its_own(testbed) as folder:
        breaking, repairing = (script.format(folder=folder) for script in DISKS[disk])
        testbed.host("sh", "-c", breaking)
        try:
            with pytest.raises(APIError) as rejection:
                Bus(testbed, "vcan69")
            for word in ("cannot write", "free some space or make the folder writable"):
                assert word in str(rejection.value.explanation)
            assert "vcan69" not in trio.links()
            assert ["cannot write" in text for _, text in reasons(plugin)] == [True]
            end = trio.host_ends()[0]
            testbed.host("sh", "-c", f"ip link del {trio.interface}; ip link del {end}; cangw -F")
            trio.wait_healthy(HEALTH_INTERVAL + 15)
            trio.assert_healthy(3)
        finally:
            testbed.host("sh", "-c", repairing)
        wait_until(lambda: not reasons(plugin), HEALTH_INTERVAL + 15, "the disk to be used again")
        bus = Bus(testbed, "vcan69")
        bus.remove()
    plugin.kill()
    trio.assert_healthy(3)
    assert_no_problems(plugin)
