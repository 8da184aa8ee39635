"""install.sh on the engine's host: from a registry, from a tarball, in place, and back.

Frames flow all the time while the plugin is upgraded, and every one of them is counted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from lab.lab_testbed import LabTestbed
from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL, configure_plugin
from tests.e2e.thorough import only_quick
from tests.support import debian_package
from tests.support.small_plugin import small_plugin
from tools import publish, release
from tools.common.checkout import ROOT
from tools.common.polling import wait_until
from tools.images import load_can_tools
from tools.install import install
from tools.plugin import PLUGIN

FOLDER = "/tmp/evercan-installer"  # noqa: S108 - on the testbed
PORT = 5067
REGISTRY = f"127.0.0.1:{PORT}"
REGISTRY_CONFIG = f"""version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: FOLDER}}, delete: {{enabled: true}}}}
http: {{addr: {REGISTRY}}}
"""
VERSION = release.version()
OTHER = "0.0.9"
BROKEN = "9.9.9"
"""A version whose entrypoint does not exist."""
_INTERRUPT = """
step=$1 && shift
mkfifo "$0.$$" && trap 'rm -f "$0.$$"' EXIT
sh "$@" >"$0.$$" 2>&1 &
while read -r line; do
    echo "$line"
    case $line in "evercan: $step"*) kill $! ;; esac
done <"$0.$$"
wait $!
"""
_FRAME = re.compile(r"\b321#([0-9A-F]{16})\b")


def put(testbed: Testbed, source: Path, mode: str = "644") -> str:
    """Copy a file into `FOLDER` on the engine's host; return its path there."""
    target = f"{FOLDER}/{source.name}"
    script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
    testbed.host("sh", "-c", script, "sh", target, mode, stdin=source.read_bytes(), timeout=120)
    return target


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make tarballs: of this version, two others, and one of another architecture."""
    folder = tmp_path_factory.mktemp("releases")
    own = release.architecture_of(PLUGIN / "rootfs")
    foreign = "arm64" if own == "amd64" else "amd64"
    made = {
        "foreign": release.pack(folder, small_plugin(tmp_path_factory.mktemp("foreign"), foreign))
    }
    for name, number, config in (
        ("this", VERSION, {}),
        ("other", OTHER, {}),
        ("broken", BROKEN, {"entrypoint": ["/nowhere"]}),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(release, "version", lambda number=number: number)
            made[name] = release.pack(folder, other_build(tmp_path_factory.mktemp(name), config))
    return made


def other_build(folder: Path, config: dict[str, list[str]]) -> Path:
    """Make a plugin with the files of this build and one more.

    An engine does not take a second plugin with the same layer: "content ... already exists".
    """
    shutil.copytree(PLUGIN / "rootfs", folder / "rootfs", symlinks=True, copy_function=os.link)
    (folder / "rootfs/etc/evercan-test").write_text(folder.name)
    described = json.loads((PLUGIN / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | config))
    return folder


@pytest.fixture(scope="module")
def host(testbed: Testbed) -> Iterator[Testbed]:
    """Yield the testbed with install.sh on it; restore its plugin and image at the end."""
    put(testbed, ROOT / "install.sh")
    yield testbed
    client = testbed.client()
    install(client)
    configure_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")
    load_can_tools(client, testbed.docker_host)
    testbed.host("rm", "-rf", FOLDER)


@pytest.fixture(scope="module")
def registry(
    host: Testbed, releases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run Debian's registry on this machine, with the plugin of two architectures in it.

    The engine reaches it at its own loopback address, for which it needs no TLS.
    """
    folder = tmp_path_factory.mktemp("registry")
    config = folder / "registry.yml"
    config.write_text(REGISTRY_CONFIG.replace("FOLDER", str(folder)))
    program = debian_package.program("docker-registry", "docker-registry")
    port = host.exposed(PORT) if isinstance(host, LabTestbed) else nullcontext()
    with port, subprocess.Popen([program, "serve", str(config)]) as process:
        try:
            wait_until(answers, 30, "the registry to answer")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(publish, "connect", host.client)
                for which in ("this", "other", "foreign"):
                    assert "@sha256:" in publish.push_plugin(releases[which], REGISTRY)
            yield REGISTRY
        finally:
            process.terminate()


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://{REGISTRY}/v2/") as page:
            return bool(page.status == 200)
    except OSError:
        return False


def run(host: Testbed, *arguments: str) -> tuple[str, float]:
    """Run install.sh; return its output and the seconds it took."""
    began = time.monotonic()
    done = host.host("sh", f"{FOLDER}/install.sh", *arguments, timeout=600, check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text, time.monotonic() - began


def fails(host: Testbed, *arguments: str) -> str:
    done = host.host("sh", f"{FOLDER}/install.sh", *arguments, timeout=600, check=False)
    assert done.returncode == 1, done
    return done.stderr.decode()


def interrupted(host: Testbed, step: str, *arguments: str) -> str:
    """End install.sh by SIGTERM as soon as it says a step; return its output."""
    command = ("sh", "-c", _INTERRUPT, "sh", step, f"{FOLDER}/install.sh", *arguments)
    done = host.host(*command, timeout=600, check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 128 + 15, text
    return text


def leftovers(host: Testbed) -> str:
    """List what install.sh made for itself and should have removed."""
    return host.host(
        "sh", "-c",
        "docker plugin ls --format '{{.Name}}' | grep staged;"
        "docker ps -aq -f name=evercan-install;"
        "docker image ls -q evercan-install-helper; ls -d /tmp/tmp.*/registry; true",
    ).stdout.decode()  # fmt: skip


def installed(host: Testbed) -> tuple[str, bool]:
    """Return the version of the installed plugin, empty for a build of no release, and enabled."""
    # types-docker has no types for it.
    shown = host.client().api.inspect_plugin(NAME)  # type: ignore[no-untyped-call]
    found = re.search(r" Version (\S+) for ", shown["Config"]["Documentation"])
    return (found[1] if found else "", shown["Enabled"])


@contextmanager
def traffic(host: Testbed, bus: Bus) -> Iterator[None]:
    """Let the first container send numbered frames; assert that the others get each one once."""
    sender, *listeners = bus.containers
    sender.reload()
    inside = ("nsenter", "--net", "--target", str(sender.attrs["State"]["Pid"]))
    command = ("cangen", "can0", "-g", "20", "-I", "321", "-L", "8", "-D", "i")
    with host.host_process(*inside, *command) as process:
        yield
        process.terminate()
        process.wait()
    for listener in listeners:
        log = listener.logs(stdout=True, stderr=False).decode()
        numbers = [int.from_bytes(bytes.fromhex(data), "little") for data in _FRAME.findall(log)]
        assert len(numbers) > 50
        assert numbers == list(range(len(numbers))), "a frame is missing, or there twice"


def test_upgrades_and_failed_upgrades_lose_no_frame(
    host: Testbed, bus: Bus, registry: str, releases: dict[str, Path]
) -> None:
    broken = put(host, releases["broken"])
    bus.start(3)
    with traffic(host, bus):
        out, seconds = run(host, "--registry", registry)
        print(f"upgrade from a registry: {seconds:.1f} s")
        assert installed(host) == (VERSION, True), out
        assert f"it has evercan {VERSION}" in run(host, "--registry", registry)[0]
        assert "failed: enabling" in fails(host, "--from", broken)
        assert installed(host) == (VERSION, True)
    [added] = bus.start(1)
    bus.assert_healthy()
    bus.discard(added)


@pytest.mark.parametrize(
    "step", only_quick(["upgrading"], ["pulling", "upgrading", "copying", "enabling"])
)
def test_an_interrupted_upgrade_leaves_the_former_build_running(
    host: Testbed, registry: str, releases: dict[str, Path], step: str
) -> None:
    run(host, "--registry", registry, "--version", OTHER)
    assert installed(host) == (OTHER, True)
    to_this = {"pulling": ("--registry", registry), "upgrading": ("--registry", registry)}
    offline = ("--from", put(host, releases["this"]))
    out = interrupted(host, step, *to_this.get(step, offline))
    assert f"{NAME} is as it was before" in out
    assert installed(host) == (OTHER, True)
    assert leftovers(host) == ""


def test_a_build_for_another_architecture_is_rejected_before_anything_is_touched(
    host: Testbed, releases: dict[str, Path]
) -> None:
    before = host.client().api.inspect_plugin(NAME)  # type: ignore[no-untyped-call]
    err = fails(host, "--from", put(host, releases["foreign"]))
    assert re.search(r"evercan-plugin-\S+ is for (amd64|arm64); the engine is (amd64|arm64)", err)
    assert host.client().api.inspect_plugin(NAME) == before  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("source", only_quick(["registry"], ["registry", "file"]))
def test_uninstall_leaves_nothing_and_one_line_installs_it_again(
    host: Testbed, registry: str, releases: dict[str, Path], source: str
) -> None:
    client = host.client()
    assert [network.name for network in client.networks.list(filters={"driver": NAME})] == []
    run(host, "--uninstall")
    assert remains(host) == ""
    sources = {
        "registry": ("--registry", registry),
        "file": ("--from", put(host, releases["this"])),
    }
    _, seconds = run(host, *sources[source])
    assert installed(host) == (VERSION, True)
    assert host.host("cat", "/etc/modules-load.d/evercan.conf").stdout == b"vcan\nvxcan\ncan-gw\n"
    load_can_tools(client, host.docker_host)
    bus = Bus(host, "vcan7")
    try:
        bus.start(2)
        print(f"installation from a {source}: {seconds:.1f} s")
        bus.assert_healthy()
    finally:
        bus.remove()


def remains(host: Testbed) -> str:
    """List what an uninstalled plugin must not leave."""
    data = host.client().info()["DockerRootDir"]
    return host.host(
        "sh", "-c",
        f"ls {data}/plugins | grep -vx -e storage -e tmp; ls /etc/modules-load.d/evercan.conf;"
        "docker plugin ls -q; docker image ls -q evercan/can-tools;"
        "docker image ls -q evercan-install-helper; ip -brief link show type vxcan;"
        "docker ps -aq -f name=evercan; ls /run/docker/plugins/*/evercan.sock; true",
    ).stdout.decode()  # fmt: skip
