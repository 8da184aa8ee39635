"""One bus on two hosts: two guests with engines and kernels of their own, and a network between.

They are linked as docs/hosts.md says, and as the services of a Swarm.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from evercan.cli.commands.link_certs import certs
from lab import recipe
from lab.lab_testbed import LabTestbed
from lab.plugin_process import NAME
from lab.testbed import Testbed, lab_testbed
from tests.e2e.conftest import prepare
from tests.e2e.test_swarm import running
from tests.e2e.two_hosts import Host, Hosts
from tests.support.pages import commands
from tools.common.checkout import ROOT
from tools.common.polling import wait_until
from tools.images import load_link

PAGE = "docs/hosts.md"
NETWORK = "powertrain"
"""The network of the page and of the example."""

BUS, INSIDE = "vcan652", "can0"
DEADLINE_MS = 2000
"""An emulated machine stops for longer than the default of 100."""

STACK = "evercan-links"
SECRETS = ("ca.pem", *(f"{end}/link.{kind}" for end in ("hub", "node") for kind in ("pem", "key")))


@pytest.fixture(scope="module")
def hosts(testbed: Testbed) -> Iterator[Hosts]:
    """Yield the testbed and a second guest, with the plugin and the images on both."""
    if not isinstance(testbed, LabTestbed):
        pytest.skip("there is one engine; the lab runs this test")
    with lab_testbed(recipe.chosen()) as second, pytest.MonkeyPatch.context() as patch:
        patch.delenv("DOCKER_HOST")  # the testbed's engine, which is slow to build on
        prepare(second)
        # Both guests are of one image. A Swarm names its links by the hosts' names.
        second.host("sh", "-c", "echo b > /etc/hostname && hostname b && sync")
        for host in (testbed, second):
            load_link(host.client(), host.docker_host)
        yield Hosts(testbed, second)


# --- as the page says -----------------------------------------------------------


@pytest.fixture
def with_network(hosts: Hosts) -> Iterator[Hosts]:
    """Give each host the bus and a container on it, for the lines of the page."""
    create = f"docker network create -d {NAME} --ipam-driver null -o vxcan.dev=vcan"
    options = f"-o vxcan.id={BUS.removeprefix('vcan')} -o vxcan.peer=can"
    try:
        for host in hosts:
            host.testbed.host("sh", "-c", f"{create} {options} {NETWORK}")
            host.listener(NETWORK)
        yield hosts
    finally:
        for host in hosts:
            host.command.run("link", "remove", NETWORK)
            host.remove_listeners()
            host.testbed.host("docker", "network", "rm", NETWORK, check=False)


def lines_of_the_page() -> list[tuple[str, str]]:
    """Return the lines that join two hosts, each with the name of its host; empty means each."""
    lines = [
        line
        for block in commands(PAGE)
        for line in block.text.splitlines()
        if line.startswith(("evercan link certs", "evercan link add", "evercan link status"))
    ]
    return [(line, line.partition("# on host ")[2]) for line in lines]


@pytest.mark.thorough
def test_two_hosts_are_joined_by_the_lines_of_the_page(with_network: Hosts, tmp_path: Path) -> None:
    hosts, lines = with_network, lines_of_the_page()
    assert [host for _, host in lines] == ["", "a", "b", ""]
    shown = ""
    for line, name in lines:
        for host in hosts:
            if name in ("", host.name) and not (host.name == "b" and "certs site " in line):
                shown = host.type(line, tmp_path)
    assert "active, host b of bus powertrain" in shown
    hosts.wait_linked(NETWORK)

    # Now with a deadline that an emulated machine keeps.
    for line, name in lines[1:3]:
        host = next(host for host in hosts if host.name == name)
        host.type(f"evercan link remove {NETWORK}", tmp_path)
        command = line.partition("#")[0]
        host.type(f"{command} --deadline {DEADLINE_MS}", tmp_path)
    hosts.wait_linked(NETWORK)
    judged = hosts.judge(BUS, INSIDE)
    assert judged.exactly_once, str(judged)

    cut = threading.Thread(target=hosts.b.testbed.power_cut)
    cut.start()
    alone = hosts.judge(BUS, INSIDE, of=[hosts.a])
    cut.join()
    assert alone.exactly_once, str(alone)
    hosts.connect()
    hosts.wait_linked(NETWORK)
    judged = hosts.judge(BUS, INSIDE)
    assert judged.exactly_once, str(judged)


# --- as services of a Swarm -----------------------------------------------------


def stack() -> str:
    """Return the example, with a deadline that an emulated machine keeps."""
    example = yaml.safe_load((ROOT / "examples/hosts/swarm.yaml").read_text())
    for service in example["services"].values():
        service["environment"]["LINK_DEADLINE"] = str(DEADLINE_MS)
    return str(yaml.safe_dump(example))


def write(host: Host, path: str, content: bytes) -> None:
    """Write a file on a host."""
    make = 'mkdir -p "$(dirname "$0")" && cat > "$0"'
    host.testbed.host("sh", "-c", make, path, stdin=content)


@pytest.fixture
def deployed(hosts: Hosts, tmp_path: Path) -> Iterator[Hosts]:
    """Make a Swarm of both hosts and deploy the example."""
    a, b = hosts
    settings = f"{NETWORK}-settings"
    folder = f"/tmp/evercan-{secrets.token_hex(4)}"  # noqa: S108 - a folder of the guest
    certs(tmp_path / "site", ["hub", "node"], days=2)
    write(a, f"{folder}/stack.yaml", stack().encode())
    for file in SECRETS:
        write(a, f"{folder}/site/{file}", (tmp_path / "site" / file).read_bytes())
    own_settings = f"""docker network create --config-only --ipam-driver null \
        -o vxcan.id={BUS.removeprefix("vcan")} -o vxcan.peer=can {settings}"""
    try:
        a.testbed.host("docker", "swarm", "init", "--advertise-addr", a.address)
        token = a.testbed.host("docker", "swarm", "join-token", "-q", "worker").stdout.decode()
        join = f"docker swarm join --advertise-addr {b.address} --token {token.strip()}"
        b.testbed.host("sh", "-c", f"{join} {a.address}:2377")
        for host in hosts:
            host.testbed.host("sh", "-c", own_settings)
        a.testbed.host(
            *("sh", "-c"),
            f"""set -e
            docker node update --label-add evercan.hub=yes "$(docker node ls -q -f role=manager)"
            docker network create --scope swarm --config-from {settings} -d {NAME} {NETWORK}
            cd {folder} && docker stack deploy --resolve-image never -c stack.yaml {STACK}""",
        )
        yield hosts
    finally:
        a.testbed.host("docker", "stack", "rm", STACK, check=False)
        wait_until(lambda: not any(links(host) for host in hosts), 60, "the links to be removed")
        a.testbed.host("docker", "network", "rm", NETWORK, check=False)
        for host in (b, a):
            host.testbed.host("docker", "swarm", "leave", "--force", check=False)
            host.testbed.host("docker", "network", "rm", settings, "docker_gwbridge", check=False)
        a.testbed.host("rm", "-rf", folder)


def links(host: Host) -> int:
    """Return how many links of the Swarm run on a host."""
    services = (f"{STACK}_{service}" for service in ("hub", "link"))
    return sum(len(running(host.testbed, service)) for service in services)


@pytest.mark.thorough
def test_services_of_a_swarm_link_the_buses_of_its_nodes(deployed: Hosts) -> None:
    wait_until(lambda: [links(host) for host in deployed] == [1, 1], 180, "a link on each node")
    deployed.wait_linked(NETWORK)
    judged = deployed.judge(BUS, INSIDE)
    assert judged.exactly_once, str(judged)
    for host in deployed:
        _, shown = host.command.run("status")
        assert ": link of host " in shown
