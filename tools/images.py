"""The image that containers on a bus run in tests, demo and examples: ``evercan/can-tools``.

It is built once on the build engine, kept as a ``docker save`` archive in the
cache folder, and loaded from there into any other engine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tools import base_image
from tools.common import ROOT, BuildError, cache_dir, content_key, locked, say
from tools.engine import build_engine, connect
from tools.plugin import build_image

CAN_TOOLS = "evercan/can-tools:latest"
DOCKERFILE = ROOT / "build/Dockerfile.can-tools"
SCRIPT = ROOT / "build/lay_tools.sh"
# Says in the image which files it was made from, so that an engine that has it is left alone.
LABEL = "evercan.build"
# Seconds for one engine to take the archive in, under emulation too.
LOAD_SECONDS = 600


def can_tools_key() -> str:
    """Returns the key of the files the image is made from."""
    return content_key([("dockerfile", DOCKERFILE), ("script", SCRIPT)])


def can_tools_archive(fallback: str | None = None) -> Path:
    """Returns the ``docker save`` archive of the image, built if it is not in the cache.

    Args:
        fallback: DOCKER_HOST value of an engine to build on if there is no other.

    Raises:
        BuildError: there is no engine or no base image, or a build step failed.
    """
    target = cache_dir("images") / f"can-tools-{can_tools_key()}.tar"
    with locked(target.with_suffix(".lock"), f"building {CAN_TOOLS}"):
        if not target.is_file():
            _build(target, fallback)
    return target


def _build(target: Path, fallback: str | None) -> None:
    """Builds the image and saves it to a file, which appears whole or not at all."""
    with (
        build_engine(fallback) as engine,
        tempfile.TemporaryDirectory(dir=target.parent) as scratch,
    ):
        base_image.ensure(engine)
        context = Path(scratch, "context")
        context.mkdir()
        shutil.copy(SCRIPT, context)
        label = f'\nLABEL {LABEL}="{can_tools_key()}"\n'
        (context / "Dockerfile").write_text(DOCKERFILE.read_text() + label)
        say(f"building {CAN_TOOLS}")
        build_image(engine, context, CAN_TOOLS)
        saved = Path(scratch, "saved.tar")
        with saved.open("wb") as stream:
            # By name: the archive then carries the name to the engine that loads it.
            for chunk in engine.client.images.get(CAN_TOOLS).save(named=CAN_TOOLS):
                stream.write(chunk)
        engine.clear_leftovers()
        saved.rename(target)


def load_can_tools(target: docker.DockerClient | str, fallback: str | None = None) -> str:
    """Sees to it that an engine has the image, as it is in this checkout.

    Args:
        target: the engine, or its DOCKER_HOST value.
        fallback: DOCKER_HOST value of an engine to build on if there is no other.

    Returns:
        The image's name.

    Raises:
        BuildError: it cannot be built, or the engine does not take it.
    """
    client = connect(target, LOAD_SECONDS) if isinstance(target, str) else target
    try:
        if client.images.get(CAN_TOOLS).labels.get(LABEL) == can_tools_key():
            return CAN_TOOLS
    except ImageNotFound:
        pass
    archive = can_tools_archive(fallback)
    say(f"loading {CAN_TOOLS} ({archive.stat().st_size / 1e6:.0f} MB) into the engine")
    patience, client.api.timeout = client.api.timeout, LOAD_SECONDS
    try:
        with archive.open("rb") as stream:
            client.images.load(stream)
    except DockerException as error:
        raise BuildError(
            f"the engine does not load {archive}: {error}",
            "see the engine's log; delete the archive if it is damaged",
        ) from error
    finally:
        client.api.timeout = patience
    return CAN_TOOLS


def main() -> None:
    """Runs the command line: builds the image, and loads it where told to."""
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    parser.add_argument("--host", metavar="DOCKER_HOST", help="load it into this engine too")
    options = parser.parse_args()
    try:
        archive = can_tools_archive()
        if options.host:
            load_can_tools(options.host)
    except BuildError as error:
        sys.exit(f"evercan: {error}")
    print(f"{CAN_TOOLS}  {archive.stat().st_size / 1e6:.1f} MB  {archive}")


if __name__ == "__main__":
    main()
