"""On a kernel without the modules the plugin can be enabled, and its errors name the modules."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from docker.types import IPAMConfig

from lab.plugin_process import NAME
from tools.build_engine import private_engine
from tools.install import install


def _kernel_has_can() -> bool:
    return any(Path("/sys/module", module).exists() for module in ("vcan", "can_gw", "can"))


@pytest.mark.usefixtures("testbed")  # it has built the plugin
def test_network_create_names_the_missing_modules_and_the_remedy() -> None:
    if os.geteuid() != 0 or _kernel_has_can():
        pytest.skip("needs root on a machine whose kernel has no CAN, to start an engine on it")
    with private_engine() as url:
        client = docker.DockerClient(url, version="auto")
        install(client)
        try:
            with pytest.raises(APIError) as rejection:
                client.networks.create("can", driver=NAME, ipam=IPAMConfig(driver="null"))
            explanation = str(rejection.value.explanation)
            for words in (
                "the kernel has no vcan",
                "the kernel has no can-gw",
                "modprobe can-gw",
                "/etc/modules-load.d",
                "linux-modules-extra",
            ):
                assert words in explanation
            assert client.networks.list(names=["can"]) == []
        finally:
            client.api.remove_plugin(NAME, force=True)
