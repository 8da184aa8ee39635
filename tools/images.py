"""The images ``evercan/can-tools`` and ``evercan/link``.

Containers in tests, demo and examples run the first; the second joins buses of several hosts. Each
is built once, kept as a ``docker save`` archive in the cache folder, and loaded from there
into other engines.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tools import base_image, wheels
from tools.build_engine import build_engine, engine_architecture
from tools.common.architecture import ARCHITECTURES, Architecture, of_engine
from tools.common.cache import cache_dir, content_key
from tools.common.checkout import ROOT
from tools.common.docker_engine import connect
from tools.common.errors import BuildError, ToolError
from tools.common.locks import locked
from tools.common.progress import report
from tools.plugin import SOURCE, build_image, weekly_arguments

CAN_TOOLS = "evercan/can-tools:latest"
LINK = "evercan/link:latest"
# The key of the files that the image was made from. An engine that has this image needs no other.
LABEL = "evercan.build"
# Seconds in which an engine loads the archive, under emulation too.
LOAD_SECONDS = 600
LINK_REQUIREMENTS = ROOT / "requirements/link.txt"
# What the link imports of evercan.
LINK_SOURCES = ("__init__.py", "errors.py", "partial_import.py", "link")


@dataclass(frozen=True)
class ProjectImage:
    """An image that this checkout makes.

    Attributes:
        name: With its tag.
        dockerfile: How it is built.
        parts: The other files that it is made from, by a name for each.
        fill: Copies what the Dockerfile needs into a build context.
        arguments: Returns the build's arguments.
    """

    name: str
    dockerfile: Path
    parts: tuple[tuple[str, Path], ...]
    fill: Callable[[Path, Architecture], None]
    arguments: Callable[[], dict[str, str]] = dict

    def key(self, architecture: Architecture) -> str:
        """Return the key of the files that it is made from, and its architecture."""
        return content_key(
            [("architecture", architecture), ("dockerfile", self.dockerfile), *self.parts]
        )

    def archive(self, architecture: Architecture, fallback: str | None = None) -> Path:
        """Return the ``docker save`` archive of the image; build it if it is not in the cache.

        Args:
            architecture: What the image is for.
            fallback: DOCKER_HOST value of an engine to build on if there is no other.

        Raises:
            BuildError: There is no engine or no base image, a build step failed, or the engine
                does not build for that architecture.
        """
        file = self.name.partition("/")[2].partition(":")[0]
        key = self.key(architecture)
        target = cache_dir("images") / f"{file}-{architecture}-{key}.tar"
        with locked(target.with_suffix(".lock"), f"building {self.name}"):
            if not target.is_file():
                self._build(target, architecture, fallback)
        return target

    def _build(self, target: Path, architecture: Architecture, fallback: str | None) -> None:
        """Build the image and save it to a file, which appears complete or not at all."""
        with (
            build_engine(fallback, architecture) as engine,
            tempfile.TemporaryDirectory(dir=target.parent) as scratch,
        ):
            base = base_image.ensure(engine)
            context = Path(scratch, "context")
            context.mkdir()
            self.fill(context, architecture)
            label = f'\nLABEL {LABEL}="{self.key(architecture)}"\n'
            (context / "Dockerfile").write_text(self.dockerfile.read_text() + label)
            report(f"building {self.name} for {architecture}")
            build_image(engine, context, self.name, {"BASE": base, **self.arguments()})
            saved = Path(scratch, "saved.tar")
            with saved.open("wb") as stream:
                # Saved by name, so that the image has its name on the engine that loads it.
                for chunk in engine.client.images.get(self.name).save(named=self.name):
                    stream.write(chunk)
            engine.clear_leftovers()
            saved.rename(target)

    def load(self, target: docker.DockerClient | str, fallback: str | None = None) -> str:
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
            if client.images.get(self.name).labels.get(LABEL) == self.key(architecture):
                return self.name
        except ImageNotFound:
            pass
        archive = self.archive(architecture, fallback)
        report(f"loading {self.name} ({archive.stat().st_size / 1e6:.0f} MB) into the engine")
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
        return self.name


_SCRIPT = ROOT / "build/assemble_can_tools.sh"
_PROGRAMS = tuple(ROOT / f"build/evercan_{name}.c" for name in ("play", "capture"))
_ASSEMBLE = ROOT / "tools/rootfs/assemble.py"


def _fill_can_tools(context: Path, _: Architecture) -> None:
    for file in (_SCRIPT, *_PROGRAMS):
        shutil.copy(file, context)


def _fill_link(context: Path, architecture: Architecture) -> None:
    shutil.copy(_ASSEMBLE, context)
    shutil.copy(LINK_REQUIREMENTS, context / "requirements.txt")
    shutil.copytree(wheels.fetch(architecture, LINK_REQUIREMENTS), context / "wheels")
    target = context / "src/evercan"
    target.mkdir(parents=True)
    for name in LINK_SOURCES:
        source = SOURCE / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


CAN_TOOLS_IMAGE = ProjectImage(
    CAN_TOOLS,
    ROOT / "build/Dockerfile.can-tools",
    (("script", _SCRIPT), *((file.name, file) for file in _PROGRAMS)),
    _fill_can_tools,
)
LINK_IMAGE = ProjectImage(
    LINK,
    ROOT / "build/Dockerfile.link",
    (
        ("requirements", LINK_REQUIREMENTS),
        ("assemble", _ASSEMBLE),
        *((f"evercan/{name}", SOURCE / name) for name in LINK_SOURCES),
    ),
    _fill_link,
    weekly_arguments,
)


IMAGES = {"can-tools": CAN_TOOLS_IMAGE, "link": LINK_IMAGE}


def load_can_tools(target: docker.DockerClient | str, fallback: str | None = None) -> str:
    """Load evercan/can-tools into an engine; see `ProjectImage.load`."""
    return CAN_TOOLS_IMAGE.load(target, fallback)


def load_link(target: docker.DockerClient | str, fallback: str | None = None) -> str:
    """Load evercan/link into an engine; see `ProjectImage.load`."""
    return LINK_IMAGE.load(target, fallback)


def main() -> None:
    """Run the command line: build the images, and load them into the engine that is named."""
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    parser.add_argument("--host", metavar="DOCKER_HOST", help="also load them into this engine")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, help="what to build them for; default: as the engine is"
    )
    parser.add_argument(
        "--image", action="append", choices=list(IMAGES), help="which ones; default: can-tools"
    )
    options = parser.parse_args()
    try:
        for name in options.image or ["can-tools"]:
            image = IMAGES[name]
            if options.host:
                image.load(options.host)
            archive = image.archive(options.arch or engine_architecture())
            print(f"{image.name}  {archive.stat().st_size / 1e6:.1f} MB  {archive}")
    except ToolError as error:
        sys.exit(f"evercan: {error}")


if __name__ == "__main__":
    main()
