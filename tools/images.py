"""The image ``evercan/can-tools``, which containers in tests, demo and examples run.

It is built once, kept as a ``docker save`` archive in the cache folder, and loaded from there
into other engines.
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
from tools.build_engine import build_engine, engine_architecture
from tools.common.architecture import ARCHITECTURES, Architecture, of_engine
from tools.common.cache import cache_dir, content_key
from tools.common.checkout import ROOT
from tools.common.docker_engine import connect
from tools.common.errors import BuildError, ToolError
from tools.common.locks import locked
from tools.common.progress import report
from tools.plugin import build_image

CAN_TOOLS = "evercan/can-tools:latest"
DOCKERFILE = ROOT / "build/Dockerfile.can-tools"
SCRIPT = ROOT / "build/assemble_can_tools.sh"
PLAYER = ROOT / "build/evercan_play.c"
# The key of the files that the image was made from. An engine that has this image needs no other.
LABEL = "evercan.build"
# Seconds in which an engine loads the archive, under emulation too.
LOAD_SECONDS = 600


def can_tools_key(architecture: Architecture) -> str:
    """Return the key of an image: of the files that it is made from, and its architecture."""
    files = [("dockerfile", DOCKERFILE), ("script", SCRIPT), ("player", PLAYER)]
    return content_key([("architecture", architecture), *files])


def can_tools_archive(architecture: Architecture, fallback: str | None = None) -> Path:
    """Return the ``docker save`` archive of the image; build it if it is not in the cache.

    Args:
        architecture: What the image is for.
        fallback: DOCKER_HOST value of an engine to build on if there is no other.

    Raises:
        BuildError: There is no engine or no base image, a build step failed, or the engine does
            not build for that architecture.
    """
    key = can_tools_key(architecture)
    target = cache_dir("images") / f"can-tools-{architecture}-{key}.tar"
    with locked(target.with_suffix(".lock"), f"building {CAN_TOOLS}"):
        if not target.is_file():
            _build(target, architecture, fallback)
    return target


def _build(target: Path, architecture: Architecture, fallback: str | None) -> None:
    """Build the image and save it to a file, which appears complete or not at all."""
    with (
        build_engine(fallback, architecture) as engine,
        tempfile.TemporaryDirectory(dir=target.parent) as scratch,
    ):
        base = base_image.ensure(engine)
        context = Path(scratch, "context")
        context.mkdir()
        for file in (SCRIPT, PLAYER):
            shutil.copy(file, context)
        label = f'\nLABEL {LABEL}="{can_tools_key(architecture)}"\n'
        (context / "Dockerfile").write_text(DOCKERFILE.read_text() + label)
        report(f"building {CAN_TOOLS} for {architecture}")
        build_image(engine, context, CAN_TOOLS, {"BASE": base})
        saved = Path(scratch, "saved.tar")
        with saved.open("wb") as stream:
            # Saved by name, so that the image has its name on the engine that loads it.
            for chunk in engine.client.images.get(CAN_TOOLS).save(named=CAN_TOOLS):
                stream.write(chunk)
        engine.clear_leftovers()
        saved.rename(target)


def load_can_tools(target: docker.DockerClient | str, fallback: str | None = None) -> str:
    """Load this checkout's image into an engine, unless it is there already.

    Args:
        target: The engine, or its DOCKER_HOST value.
        fallback: DOCKER_HOST value of an engine to build on if there is no other.

    Returns:
        The image's name.

    Raises:
        EngineError: No engine answers there.
        BuildError: The image cannot be built, or the engine does not load it.
    """
    client = connect(target, LOAD_SECONDS) if isinstance(target, str) else target
    architecture = of_engine(client)
    try:
        if client.images.get(CAN_TOOLS).labels.get(LABEL) == can_tools_key(architecture):
            return CAN_TOOLS
    except ImageNotFound:
        pass
    archive = can_tools_archive(architecture, fallback)
    report(f"loading {CAN_TOOLS} ({archive.stat().st_size / 1e6:.0f} MB) into the engine")
    timeout, client.api.timeout = client.api.timeout, LOAD_SECONDS
    try:
        with archive.open("rb") as stream:
            client.images.load(stream)
    except DockerException as error:
        raise BuildError(
            f"the engine does not load {archive}: {error}",
            "read the engine's log; delete the archive if it is damaged",
        ) from error
    finally:
        client.api.timeout = timeout
    return CAN_TOOLS


def main() -> None:
    """Run the command line: build the image, and load it into the engine that is named."""
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    parser.add_argument("--host", metavar="DOCKER_HOST", help="also load it into this engine")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, help="what to build it for; default: as the engine is"
    )
    options = parser.parse_args()
    try:
        if options.host:
            load_can_tools(options.host)
        archive = can_tools_archive(options.arch or engine_architecture())
    except ToolError as error:
        sys.exit(f"evercan: {error}")
    print(f"{CAN_TOOLS}  {archive.stat().st_size / 1e6:.1f} MB  {archive}")


if __name__ == "__main__":
    main()
