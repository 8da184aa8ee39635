"""Puts the built plugin onto an engine, or upgrades the one that is there and keeps its state.

``python -m tools.install`` may be run again at any time: an engine that has
this very build, enabled, is left alone. Everything goes through the engine's
API, so the engine may be on another machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from tools import archive
from tools.common import BuildError, say
from tools.engine import connect
from tools.plugin import PLUGIN
from tools.upgrade import upgrade

NAME = "evercan:latest"
# Seconds that one call may take; creating a plugin takes half a minute under emulation.
CALL_SECONDS = 600
# Seconds until the engine lists the driver of an enabled plugin.
READY_SECONDS = 30.0


def install(
    client_or_url: docker.DockerClient | str | None, plugin_dir: Path = PLUGIN, name: str = NAME
) -> None:
    """Creates and enables the plugin, or brings the one of that name up to this build.

    Containers and networks may be in use: their interfaces stay as they are, and
    the plugin is away only while the engine exchanges its files.

    Args:
        client_or_url: the engine, its DOCKER_HOST value, or None for the environment's.
        plugin_dir: a folder with config.json and rootfs/, as ``tools.plugin`` leaves it.
        name: the plugin's name on the engine, with its tag.

    Raises:
        BuildError: nothing is built, no engine answers, or the engine refuses.
    """
    if not (plugin_dir / "config.json").is_file():
        raise BuildError(f"{plugin_dir} holds no plugin", "run  python -m tools.plugin  first")
    if ":" not in name:
        raise BuildError(
            f"name {name!r} has no tag", f"use {name}:latest; the engine finds no driver without"
        )
    client = client_or_url if isinstance(client_or_url, docker.DockerClient) else None
    client = client or connect(client_or_url if isinstance(client_or_url, str) else None)
    patience, client.api.timeout = client.api.timeout, CALL_SECONDS
    try:
        _bring_up(client, plugin_dir, name)
        wait_until_ready(client, name)
    except APIError as error:
        raise BuildError(
            f"the engine refuses plugin {name}: {error.explanation or error}",
            f"see the engine's log for the reason, then run this again; {_hint(name)}",
        ) from error
    except (DockerException, OSError) as error:
        raise BuildError(
            f"the engine went away while plugin {name} was brought up: {error}",
            f"see that it runs, then run this again; {_hint(name)}",
        ) from error
    finally:
        client.api.timeout = patience


def _bring_up(client: docker.DockerClient, plugin_dir: Path, name: str) -> None:
    """Takes the one path of four that an engine's state asks for."""
    there = inspect(client, name)
    if there is None:
        say(f"creating plugin {name}")
        create(client, plugin_dir, name)
    elif not same_build(there, plugin_dir):
        say(f"plugin {name} is there from another build: it is upgraded in place")
        say("its settings, its networks and its record stay, and so do containers' interfaces")
        _exchange(client, plugin_dir, name, enabled=there["Enabled"])
    elif there["Enabled"]:
        say(f"plugin {name} is this build already")
        return
    say(f"enabling {name}")
    client.api.enable_plugin(name, timeout=0)


def _exchange(client: docker.DockerClient, plugin_dir: Path, name: str, *, enabled: bool) -> None:
    """Upgrades a plugin and leaves it disabled; if that fails or is interrupted, as it was."""
    try:
        if enabled:
            say(f"disabling {name}; {_hint(name)}")
            # Networks count as use, and an upgrade is not a removal: the force is safe.
            client.api.disable_plugin(name, force=True)
        upgrade(client, plugin_dir, name)
    except BaseException:
        if enabled:
            _enable_again(client, name)
        raise


def _enable_again(client: docker.DockerClient, name: str) -> None:
    """Enables a plugin after a failure, or says how to: the failure itself must not be hidden."""
    try:
        if (inspect(client, name) or {}).get("Enabled"):
            return
        client.api.enable_plugin(name, timeout=0)
        say(f"{name} is enabled again")
    except (DockerException, OSError) as error:
        say(f"{name} cannot be enabled again ({error}); {_hint(name)}")


def _hint(name: str) -> str:
    """Returns what to do about an upgrade that did not come to its end."""
    return f"if it stays disabled, containers do not start:  docker plugin enable {name}"


def inspect(client: docker.DockerClient, name: str) -> dict[str, Any] | None:
    """Returns what the engine says of a plugin, or None if it has none of that name."""
    try:
        # types-docker leaves it without types.
        found: dict[str, Any] = client.api.inspect_plugin(name)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return found


def same_build(there: dict[str, Any], plugin_dir: Path) -> bool:
    """Tells whether an engine's plugin is the build in a folder, by the key stamped into both."""
    documentation = json.loads((plugin_dir / "config.json").read_text())
    return bool(there["Config"].get("Documentation") == documentation["documentation"])


def create(client: docker.DockerClient, plugin_dir: Path, name: str) -> None:
    """Sends a plugin to the engine, without enabling it.

    Raises:
        APIError: the engine refuses.
    """
    # Not the SDK's create_plugin: it would send this machine's owners and times along.
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
    """Waits until the engine has the plugin's driver.

    ``enable`` returns only after the engine has dialled the plugin's socket; that
    it stays enabled and is listed as a network driver is what is waited for here.

    Raises:
        BuildError: it is not, after `READY_SECONDS`.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        there = inspect(client, name)
        if there and there["Enabled"] and name in client.info()["Plugins"]["Network"]:
            return
        time.sleep(0.2)
    raise BuildError(
        f"plugin {name} is installed but its driver does not come up",
        "see the engine's log; lines of the plugin carry its id in the field plugin=",
    )


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("--host", metavar="DOCKER_HOST", help="engine; default: DOCKER_HOST")
    parser.add_argument("--name", default=NAME, help=f"plugin's name and tag; default: {NAME}")
    options = parser.parse_args()
    # A plain kill unwinds like Ctrl-C: an upgrade puts the plugin back into service.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        client = connect(options.host)
        install(client, PLUGIN, options.name)
    except BuildError as error:
        sys.exit(f"evercan: {error}")
    except KeyboardInterrupt:
        say("interrupted; run this again to bring the plugin up to this build")
        sys.exit(130)
    there = inspect(client, options.name) or {}
    print(f"{options.name}  enabled  id {there.get('Id', '')[:12]}")
    for setting in there.get("Settings", {}).get("Env", []):
        print(f"  {setting}")


if __name__ == "__main__":
    main()
