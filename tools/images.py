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
from tools.build_engine import build_engine
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
# The key of the files that the image was made from. An engine that has this image needs no other.
LABEL = "evercan.build"
# Seconds in which an engine loads the archive, under emulation too.
LOAD_SECONDS = 600


def can_tools_key() -> str:
    """Return the key of the files that the image is made from."""
    return content_key([("dockerfile", DOCKERFILE), ("script", SCRIPT)])


def can_tools_archive(fallback: str | None = None) -> Path:
    """Return the ``docker save`` archive of the image; build it if it is not in the cache.

    Args:
        fallback: DOCKER_HOST value of an engine to build on if there is no other.

    Raises:
        BuildError: There is no engine or no base image, or a build step failed.
    """
    target = cache_dir("images") / f"can-tools-{can_tools_key()}.tar"
    with locked(target.with_suffix(".lock"), f"building {CAN_TOOLS}"):
        if not target.is_file():
            _build(target, fallback)
    return target


def _build(target: Path, fallback: str | None) -> None:
    """Build the image and save it to a file, which appears complete or not at all."""
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
        report(f"building {CAN_TOOLS}")
        build_image(engine, context, CAN_TOOLS)
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
    try:
        if client.images.get(CAN_TOOLS).labels.get(LABEL) == can_tools_key():
            return CAN_TOOLS
    except ImageNotFound:
        pass
    archive = can_tools_archive(fallback)
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
    options = parser.parse_args()
    try:
        archive = can_tools_archive()
        if options.host:
            load_can_tools(options.host)
    except ToolError as error:
        sys.exit(f"evercan: {error}")
    print(f"{CAN_TOOLS}  {archive.stat().st_size / 1e6:.1f} MB  {archive}")


if __name__ == "__main__":
    main()
