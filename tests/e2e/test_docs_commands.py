"""The commands of the documentation, page by page and in order, on a real engine.

Each page is a new terminal of somebody who has cloned the repository and typed ``make``: its
``PATH`` has no ``evercan`` unless the page puts it there. ``make``, Python and ``evercan`` are
the checkout's own, on this machine; programs of the host run on the engine's host, which may be
another machine. A block that is not run says why in the page, and
``tests/unit/test_docs_commands.py`` checks that.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.thorough import only_quick
from tests.support.host_programs import host_programs
from tests.support.pages import PAGES, Block, commands
from tools.common.checkout import ROOT

RUN = {
    page: [block for block in commands(page) if block.reason is None]
    for page in PAGES
    if any(block.reason is None for block in commands(page))
}
"""The blocks to run, by page."""

LONG_PAGES = {"docs/cli.md", "docs/operations.md"}
"""Pages whose commands are tested one by one elsewhere, and take minutes."""

_TIMEOUT = 240
"""Seconds for one block."""

_PREPARE_TIMEOUT = 900
"""Seconds for the first ``make`` of a checkout, which may install Debian packages."""

_AT_BOOT = "/etc/modules-load.d/evercan.conf"

_NOT_A_NEWCOMERS = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables of whoever runs the tests, which a new terminal does not have."""


def new_terminal() -> dict[str, str]:
    """Return this process's environment as a new terminal has it: without ``evercan``."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _NOT_A_NEWCOMERS
    }
    folders = environment["PATH"].split(os.pathsep)
    without_evercan = [folder for folder in folders if not Path(folder, "evercan").exists()]
    return {**environment, "PATH": os.pathsep.join(without_evercan)}


def make_environment(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the part of ``make`` that every target needs, in a checkout."""
    return subprocess.run(
        ["make", ".venv"],
        cwd=folder,
        env=new_terminal(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PREPARE_TIMEOUT,
        check=False,
    )


@pytest.fixture(scope="module")
def python_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make ``.venv`` as a newcomer's ``make`` does, and yield the checkout that it was made in."""
    folder = linked_checkout(tmp_path_factory.mktemp("checkout"))
    made = make_environment(folder)
    assert made.returncode == 0, made.stdout
    try:
        yield folder
    finally:
        # The command in the shared environment falls back to the checkout that made it last.
        make_environment(ROOT)


def linked_checkout(folder: Path) -> Path:
    """Link all that this checkout has into a folder, in which commands may leave files."""
    for entry in ROOT.iterdir():
        (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, python_environment: Path) -> Path:
    """Return a checkout whose ``.venv`` is as ``make`` left it."""
    folder = linked_checkout(tmp_path)
    (folder / ".venv").unlink(missing_ok=True)
    (folder / ".venv").symlink_to((python_environment / ".venv").readlink())
    return folder


@pytest.fixture
def environment(
    testbed: Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Yield the environment of a page's terminal."""
    terminal = new_terminal()
    with host_programs(testbed, tmp_path_factory.mktemp("programs")) as programs:
        yield {
            **terminal,
            "DOCKER_HOST": testbed.docker_host,
            "PATH": f"{programs}{os.pathsep}{terminal['PATH']}",
            "COLUMNS": "100",
        }


@pytest.fixture(autouse=True)
def as_before(testbed: Testbed) -> Iterator[None]:
    """Remove what a page has made."""
    client = testbed.client()
    networks = {network.id for network in client.networks.list()}
    containers = {container.id for container in client.containers.list(all=True)}
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
        plugins = client.plugins.list()
        assert any(plugin.name == NAME and plugin.enabled for plugin in plugins)


@pytest.mark.parametrize("page", only_quick(RUN.keys() - LONG_PAGES, RUN))
def test_the_commands_of_a_page_do_what_they_say(
    page: str,
    checkout: Path,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    exports = tmp_path_factory.mktemp("terminal") / "exports"
    exports.touch()
    for block in RUN[page]:
        run(block, checkout, environment, exports)


def run(block: Block, folder: Path, environment: dict[str, str], exports: Path) -> None:
    """Run one block in a shell that ends at the first command that fails.

    Args:
        block: what to run.
        folder: where.
        environment: what the page's terminal began with.
        exports: the variables that the page's blocks have exported so far; updated.
    """
    print(f"--- {block}")
    file = shlex.quote(str(exports))
    script = f". {file}; set -x\n{block.text}\n{{ export -p >{file}; }} 2>/dev/null"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    print(ran.stdout)
    assert ran.returncode == 0, f"{block}: status {ran.returncode}\n{ran.stdout}"
    assert "Traceback" not in ran.stdout
