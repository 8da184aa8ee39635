"""Installs the built plugin on an engine, or upgrades the installed plugin and keeps its state.

``python -m tools.install`` may be run again at any time: it changes nothing if the engine has
this build and it is enabled. Only the engine's API is used, so the engine may be on another
machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from tools import archive
from tools.common.architecture import Architecture, of_engine
from tools.common.docker_engine import connect
from tools.common.errors import BuildError, ToolError
from tools.common.polling import attempts
from tools.common.progress import report
from tools.plugin import PLUGIN
from tools.upgrade import upgrade

NAME = "evercan:latest"
# Seconds that one call may take; creating a plugin takes half a minute under emulation.
CALL_SECONDS = 600
# Seconds until the engine lists the driver of an enabled plugin.
READY_SECONDS = 30.0
# The field e_machine of an ELF header; both architectures are little-endian.
_ELF_MACHINES: dict[bytes, Architecture] = {b"\x3e\x00": "amd64", b"\xb7\x00": "arm64"}


def install(
    client_or_url: docker.DockerClient | str | None, plugin_dir: Path = PLUGIN, name: str = NAME
) -> None:
    """Create and enable the plugin, or upgrade the plugin of that name to this build.

    Containers and networks may be in use: their interfaces stay as they are, and the plugin
    stops only while the engine replaces its files.

    Args:
        client_or_url: The engine, its DOCKER_HOST value, or None for the environment's.
        plugin_dir: A folder with config.json and rootfs/, as ``tools.plugin`` leaves it.
        name: The plugin's name on the engine, with its tag.

    Raises:
        EngineError: No engine answers.
        BuildError: Nothing is built, it is built for another architecture, or the engine
            rejects the plugin.
    """
    if not (plugin_dir / "config.json").is_file():
        raise BuildError(f"there is no plugin in {plugin_dir}", "run: python -m tools.plugin")
    if ":" not in name:
        raise BuildError(
            f"the name {name!r} has no tag",
            f"use {name}:latest; without a tag the engine finds no driver",
        )
    client = client_or_url if isinstance(client_or_url, docker.DockerClient) else None
    client = client or connect(client_or_url if isinstance(client_or_url, str) else None)
    _require_architecture(client, plugin_dir)
    timeout, client.api.timeout = client.api.timeout, CALL_SECONDS
    try:
        _bring_to_this_build(client, plugin_dir, name)
        wait_until_ready(client, name)
    except APIError as error:
        raise BuildError(
            f"the engine rejects plugin {name}: {error.explanation or error}",
            f"read the engine's log for the reason, then run this again; {_hint(name)}",
        ) from error
    except (DockerException, OSError) as error:
        raise BuildError(
            f"the connection to the engine was lost while plugin {name} was installed: {error}",
            f"start the engine, then run this again; {_hint(name)}",
        ) from error
    finally:
        client.api.timeout = timeout


def _require_architecture(client: docker.DockerClient, plugin_dir: Path) -> None:
    """Check that a plugin is built for the engine's architecture, which no engine checks.

    Raises:
        BuildError: It is built for another one.
    """
    built = architecture_of(plugin_dir / "rootfs/usr/bin/python3")
    wanted = of_engine(client)
    if built is not None and built != wanted:
        raise BuildError(
            f"the plugin in {plugin_dir} is built for {built}, and the engine is of {wanted}",
            f"build it for {wanted}: python -m lab plugin --arch {wanted}",
        )


def architecture_of(program: Path) -> Architecture | None:
    """Return the architecture of a program (ELF); None if it is not there or of another kind."""
    try:
        with program.open("rb") as file:
            header = file.read(20)
    except FileNotFoundError:
        return None
    return _ELF_MACHINES.get(header[18:20]) if header.startswith(b"\x7fELF") else None


def _bring_to_this_build(client: docker.DockerClient, plugin_dir: Path, name: str) -> None:
    """Create, upgrade, enable or keep the plugin, depending on what the engine has."""
    there = inspect(client, name)
    if there is None:
        report(f"creating plugin {name}")
        create(client, plugin_dir, name)
    elif not same_build(there, plugin_dir):
        report(f"plugin {name} is from another build and is upgraded in place")
        report("its settings, its networks, its state and the containers' interfaces are kept")
        _upgrade_disabled(client, plugin_dir, name, enabled=there["Enabled"])
    elif there["Enabled"]:
        report(f"plugin {name} is up to date")
        return
    report(f"enabling {name}")
    client.api.enable_plugin(name, timeout=0)


def _upgrade_disabled(
    client: docker.DockerClient, plugin_dir: Path, name: str, *, enabled: bool
) -> None:
    """Upgrade a plugin and leave it disabled; enable it again if that fails or is interrupted."""
    try:
        if enabled:
            report(f"disabling {name}; {_hint(name)}")
            # Networks count as use. Nothing is removed, so the force is safe.
            client.api.disable_plugin(name, force=True)
        upgrade(client, plugin_dir, name)
    except BaseException:
        if enabled:
            _enable_again(client, name)
        raise


def _enable_again(client: docker.DockerClient, name: str) -> None:
    """Enable a plugin after a failure; report a second failure without hiding the first."""
    try:
        if (inspect(client, name) or {}).get("Enabled"):
            return
        client.api.enable_plugin(name, timeout=0)
        report(f"{name} is enabled again")
    except (DockerException, OSError) as error:
        report(f"cannot enable {name} again ({error}); {_hint(name)}")


def _hint(name: str) -> str:
    """Return what to do about an upgrade that was not completed."""
    return (
        f"while it is disabled, containers do not start; to enable it: docker plugin enable {name}"
    )


def inspect(client: docker.DockerClient, name: str) -> dict[str, Any] | None:
    """Return the engine's description of a plugin, or None if it has none of that name."""
    try:
        # types-docker has no types for it.
        found: dict[str, Any] = client.api.inspect_plugin(name)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return found


def same_build(there: dict[str, Any], plugin_dir: Path) -> bool:
    """Tell whether an engine's plugin is the build in a folder: both contain the build's key."""
    documentation = json.loads((plugin_dir / "config.json").read_text())
    return bool(there["Config"].get("Documentation") == documentation["documentation"])


def create(client: docker.DockerClient, plugin_dir: Path, name: str) -> None:
    """Send a plugin to the engine, without enabling it.

    Raises:
        APIError: The engine rejects it.
    """
    # The SDK's create_plugin would also send this machine's owners and times.
    with tempfile.TemporaryFile() as packed:
        archive.write_tar(plugin_dir, packed)
        packed.seek(0)
        api = client.api
        answer = api.post(
            f"{api.base_url}/v{api.api_version}/plugins/create",
            params={"name": name},
            data=packed,
            headers={"Content-Type": "application/x-tar"},
            timeout=CALL_SECONDS,
        )
    if not answer.ok:
        raise APIError("creating the plugin failed", answer, answer.text.strip())


def wait_until_ready(client: docker.DockerClient, name: str) -> None:
    """Wait until the engine lists the plugin as a network driver.

    ``enable`` returns after the engine has connected to the plugin's socket. This waits until the
    plugin is listed and still enabled.

    Raises:
        BuildError: It is not listed after `READY_SECONDS`.
    """
    for _ in attempts(READY_SECONDS, 0.2):
        there = inspect(client, name)
        if there and there["Enabled"] and name in client.info()["Plugins"]["Network"]:
            return
    raise BuildError(
        f"plugin {name} is installed but the engine does not list its driver",
        "read the engine's log; the plugin's lines have its id in the field plugin=",
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("--host", metavar="DOCKER_HOST", help="engine; default: DOCKER_HOST")
    parser.add_argument("--name", default=NAME, help=f"plugin's name and tag; default: {NAME}")
    options = parser.parse_args()
    # SIGTERM is handled like Ctrl-C, so that an interrupted upgrade enables the plugin again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        client = connect(options.host)
        install(client, PLUGIN, options.name)
    except ToolError as error:
        sys.exit(f"evercan: {error}")
    except KeyboardInterrupt:
        report("interrupted; run this again to complete the installation")
        sys.exit(130)
    there = inspect(client, options.name) or {}
    print(f"{options.name}  enabled  id {there.get('Id', '')[:12]}")
    for setting in there.get("Settings", {}).get("Env", []):
        print(f"  {setting}")


if __name__ == "__main__":
    main()
