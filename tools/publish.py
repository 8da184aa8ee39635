"""Pushes a release to a registry: the plugin of each architecture, and the image of the tools.

    python -m tools.publish plugin TARBALL REGISTRY     evercan:X.Y.Z-ARCH, out of a tarball
    python -m tools.publish tools REGISTRY              can-tools:X.Y.Z-ARCH, of this machine

The engine at DOCKER_HOST pushes; log it in before (docker login). Each command prints the
reference with its digest, for signatures. An engine of any architecture can push any plugin,
since it does not run it. One tag has one architecture: plugins have no multi-platform lists.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docker.api import APIClient
from docker.auth import get_config_header
from docker.errors import DockerException

from tools import install
from tools.common.docker_engine import connect
from tools.common.errors import BuildError, ToolError
from tools.common.progress import report
from tools.images import CAN_TOOLS, load_can_tools
from tools.release import version
from tools.upgrade import read_blobs


def unpack(tarball: Path, target: Path) -> tuple[Path, str, str]:
    """Unpack a release's tarball into a plugin's folder.

    Args:
        tarball: What `tools.release.pack` wrote.
        target: An existing empty folder.

    Returns:
        The folder with config.json and rootfs/, the version and the architecture.

    Raises:
        BuildError: It is no such tarball.
    """
    try:
        with tarfile.open(tarball) as tar:
            tar.extractall(target / "release", filter="data")
        (about,) = target.glob("release/*/about")
        fields = dict(line.split("=", 1) for line in about.read_text().splitlines())
        plugin = target / "plugin"
        read_blobs(about.parent / "registry", plugin)
        return plugin, fields["version"], fields["architecture"]
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise BuildError(
            f"{tarball} is no release of evercan: {error}", "make it: python -m tools.release pack"
        ) from error


def push_plugin(tarball: Path, registry: str) -> str:
    """Push the plugin of a tarball.

    Args:
        tarball: What `tools.release.pack` wrote.
        registry: The registry and its path, such as ``ghcr.io/evercan``.

    Returns:
        The reference with its digest.

    Raises:
        BuildError: The engine or the registry rejects it.
    """
    client = connect()
    with tempfile.TemporaryDirectory() as scratch:
        plugin, number, architecture = unpack(tarball, Path(scratch))
        name = f"{registry}/evercan:{number}-{architecture}"
        report(f"pushing {name}")
        try:
            install.create(client, plugin, name)
            try:
                return _pushed(name, _push(client.api, name))
            finally:
                client.api.remove_plugin(name, force=True)
        except DockerException as error:
            raise BuildError(f"cannot push {name}: {error}", "read the engine's log") from error


def _push(api: APIClient, name: str) -> Iterator[dict[str, Any]]:
    """Push a plugin; yield the engine's answers.

    The SDK's own push_plugin calls the path of a pull, which no engine has.
    """
    login = get_config_header(api, name.partition("/")[0])
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/plugins/{name}/push",
        headers={"X-Registry-Auth": login} if login else {},
        stream=True,
    )
    if not answer.ok:
        raise DockerException(answer.json()["message"])
    for line in answer.iter_lines():
        yield json.loads(line)


def push_tools(registry: str) -> str:
    """Push the image of the tools, built for the engine's architecture.

    Raises:
        BuildError: It cannot be built, or the registry rejects it.
    """
    client = connect()
    load_can_tools(client)
    name, tag = f"{registry}/can-tools", f"{version()}-{client.version()['Arch']}"
    report(f"pushing {name}:{tag}")
    try:
        client.images.get(CAN_TOOLS).tag(name, tag)
        return _pushed(f"{name}:{tag}", client.images.push(name, tag, stream=True, decode=True))
    except DockerException as error:
        raise BuildError(f"cannot push {name}: {error}", "read the engine's log") from error


def _pushed(name: str, answers: Iterable[dict[str, Any]]) -> str:
    """Return the reference with the digest that the registry answered."""
    digest = ""
    for answer in answers:
        if "error" in answer:
            raise BuildError(
                f"the registry rejects {name}: {answer['error']}",
                f"docker login {name.partition('/')[0]}",
            )
        digest = (answer.get("aux") or {}).get("Digest", digest)
    if not digest:
        raise BuildError(f"the engine named no digest of {name}", "push it again")
    return f"{name.rpartition(':')[0]}@{digest}"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    plugin = commands.add_parser("plugin")
    plugin.add_argument("tarball", type=Path)
    for command in (plugin, commands.add_parser("tools")):
        command.add_argument("registry", help="registry and path; letters in lower case")
    options = parser.parse_args(arguments)
    registry = options.registry.rstrip("/").lower()  # GitHub's owners may have capital letters
    try:
        if options.command == "plugin":
            print(push_plugin(options.tarball, registry))
        else:
            print(push_tools(registry))
    except ToolError as error:
        sys.exit(f"evercan: {error}")


if __name__ == "__main__":
    main()
