"""A kernel without the modules: the plugin enables, and says what is missing."""

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
    return any(Path("/sys/module", each).exists() for each in ("vcan", "can_gw", "can"))


@pytest.mark.usefixtures("testbed")  # which has built the plugin
def test_network_create_names_the_missing_module_and_how_to_get_it() -> None:
    if os.geteuid() != 0 or _kernel_has_can():
        pytest.skip("needs root on a machine whose kernel has no CAN, to start an engine on it")
    with private_engine() as url:
        client = docker.DockerClient(url, version="auto")
        install(client)
        try:
            with pytest.raises(APIError) as refusal:
                client.networks.create("can", driver=NAME, ipam=IPAMConfig(driver="null"))
            told = str(refusal.value.explanation)
            for words in (
                "the kernel has no vcan",
                "the kernel has no can-gw",
                "modprobe can-gw",
                "/etc/modules-load.d",
                "linux-modules-extra",
            ):
                assert words in told
            assert client.networks.list(names=["can"]) == []
        finally:
            client.api.remove_plugin(NAME, force=True)
