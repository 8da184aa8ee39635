"""The commands of the documentation, page by page and in order, on a real engine.

Programs of the host run on the engine's host; ``make``, Python and ``evercan`` on this
machine, in a folder that is laid out as the checkout is. What is not run says why in the
page, and ``tests/unit/test_docs_commands.py`` holds it to that.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.support.host_programs import host_programs
from tests.support.pages import PAGES, Block, commands
from tools.common.checkout import ROOT

RUN = {
    page: [block for block in commands(page) if block.reason is None]
    for page in PAGES
    if any(block.reason is None for block in commands(page))
}
"""The blocks to run, by page."""

_PATIENCE = 240
"""Seconds for one block."""

_AT_BOOT = "/etc/modules-load.d/evercan.conf"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder as the checkout is, in which commands may leave files."""
    for entry in ROOT.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.fixture
def environment(
    testbed: Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What the shells run in."""
    with host_programs(testbed, tmp_path_factory.mktemp("programs")) as programs:
        yield {
            **os.environ,
            "DOCKER_HOST": testbed.docker_host,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "COLUMNS": "100",
        }


@pytest.fixture(autouse=True)
def as_before(testbed: Testbed) -> Iterator[None]:
    """Remove what a page has made."""
    client = testbed.client()
    networks = {each.id for each in client.networks.list()}
    containers = {each.id for each in client.containers.list(all=True)}
    at_boot = testbed.host("cat", _AT_BOOT, check=False)
    try:
        yield
    finally:
        client = testbed.client()
        for container in client.containers.list(all=True):
            if container.id not in containers:
                container.remove(force=True)
        for network in client.networks.list():
            if network.id not in networks:
                network.remove()
        if at_boot.returncode != 0:
            testbed.host("rm", "-f", _AT_BOOT)
        testbed.host("ip", "link", "del", "vcan1", check=False)
        assert any(each.name == NAME and each.enabled for each in client.plugins.list())


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_do_what_they_say(
    page: str, checkout: Path, environment: dict[str, str]
) -> None:
    for block in RUN[page]:
        run(block, checkout, environment)


def run(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run one block in a shell of its own, which ends at the first command that fails."""
    print(f"--- {block}")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-x", "-c", block.text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    print(ran.stdout)
    assert ran.returncode == 0, f"{block}: status {ran.returncode}\n{ran.stdout}"
    assert "Traceback" not in ran.stdout
