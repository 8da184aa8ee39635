"""Builds the plugin in ``dist/plugin``, ready for ``docker plugin create``.

``python -m tools.plugin`` does nothing if the sources, the locked requirements, the build files
and the architecture are those of the last build.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from docker.errors import BuildError as StepFailed

from tools import archive, base_image, wheels
from tools.build_engine import BuildEngine, build_engine, engine_architecture
from tools.common.architecture import Architecture, of_engine
from tools.common.cache import content_key
from tools.common.checkout import DIST, ROOT
from tools.common.docker_engine import connect
from tools.common.errors import BuildError, ToolError
from tools.common.locks import locked
from tools.common.progress import report

PLUGIN = DIST / "plugin"
LAST_BUILD = DIST / "plugin.json"
CONFIG = ROOT / "plugin/config.json"
DOCKERFILE = ROOT / "build/Dockerfile.rootfs"
SCRIPTS = tuple(ROOT / "tools/rootfs" / f"{name}.py" for name in ("assemble", "check", "no_tls"))
SOURCE = ROOT / "src/evercan"
# The command for the host and the link are not part of the plugin; the daemon does not import them.
NOT_SHIPPED = ("__pycache__", "cli", "link")
IMAGE = "evercan/rootfs"
# The largest size of the unpacked root file system, in bytes.
SIZE_LIMIT = 70_000_000


@dataclass(frozen=True)
class Built:
    """What the last build made.

    Attributes:
        key: Hash of everything that the plugin is built from, 16 hexadecimal digits.
        content: sha256 of the root file system's names, modes and contents.
        size: Bytes in its files.
        architecture: ``amd64`` or ``arm64``.
    """

    key: str
    content: str
    size: int
    architecture: Architecture

    def __str__(self) -> str:
        return (
            f"dist/plugin  {self.size / 1e6:.1f} MB  {self.architecture}  build {self.key}\n"
            f"content      sha256:{self.content}"
        )


def source_key(architecture: Architecture) -> str:
    """Return the key of the checkout as it is: equal keys mean equal plugins.

    Args:
        architecture: What the plugin is built for.
    """
    return content_key(
        [
            ("architecture", architecture),
            ("config", CONFIG),
            ("dockerfile", DOCKERFILE),
            ("requirements", wheels.REQUIREMENTS),
            *((script.name, script) for script in SCRIPTS),
            *(
                (f"evercan/{part.name}", part)
                for part in sorted(SOURCE.iterdir())
                if part.name not in NOT_SHIPPED
            ),
        ]
    )


def stamped(config: str, build: str) -> str:
    """Return config.json with the build's key in it, which identifies the build on an engine."""
    fields = json.loads(config)
    fields["documentation"] = f"{fields['documentation']} Build {build}."
    return json.dumps(fields, indent=2) + "\n"


def last_build(file: Path = LAST_BUILD) -> Built | None:
    """Return what the last build made, or None if its file is missing or unusable."""
    try:
        return Built(**json.loads(file.read_text()))
    except (OSError, TypeError, ValueError):
        return None


def build(
    fallback: str | None = None,
    *,
    architecture: Architecture | None = None,
    from_scratch: bool = False,
) -> Built:
    """Build ``dist/plugin`` unless it is up to date.

    Args:
        fallback: DOCKER_HOST value of an engine to build on if there is no other.
        architecture: What to build for; by default the architecture of the engine that it is
            built on.
        from_scratch: Build in any case, and use no layer of an earlier build.

    Raises:
        NoEngineError: There is no engine to build on.
        BuildError: There is no base image, a wheel is missing, a build step failed, the
            root file system is too large, or the engine does not build for that architecture.
    """
    architecture = architecture or engine_architecture(fallback)
    key = source_key(architecture)
    with locked(DIST / "plugin.lock", "building the plugin"):
        last = last_build()
        if (
            not from_scratch
            and last
            and last.key == key
            and (PLUGIN / "rootfs/usr/bin/python3").exists()
        ):
            report(f"dist/plugin is up to date ({architecture}, build {key})")
            return last
        for leftover in [*DIST.glob("context-*"), *DIST.glob("plugin-*")]:
            shutil.rmtree(leftover)  # left by a build that was killed
        with build_engine(fallback, architecture) as engine:
            built = _build(engine, key, from_scratch=from_scratch)
        LAST_BUILD.write_text(json.dumps(asdict(built), indent=2) + "\n")
        return built


def build_for(docker_host: str) -> Built:
    """Build ``dist/plugin`` for an engine, and on that engine if there is no other.

    Raises:
        EngineError: No engine answers there.
        BuildError: As for `build`.
    """
    with closing(connect(docker_host)) as client:
        architecture = of_engine(client)
    return build(docker_host, architecture=architecture)


def _build(engine: BuildEngine, key: str, *, from_scratch: bool) -> Built:
    """Build on an engine and replace ``dist/plugin`` in one step."""
    with tempfile.TemporaryDirectory(dir=DIST, prefix="context-") as scratch:
        context = Path(scratch)
        _fill(context, wheels.fetch(engine.architecture))
        base = base_image.ensure(engine)
        report(f"building the root file system for {engine.architecture}")
        arguments = {"BASE": base, **weekly_arguments()}
        # A named stage stays when unnamed layers are removed.
        build_image(
            engine, context, f"{IMAGE}-tools", arguments, stage="tools", from_scratch=from_scratch
        )
        build_image(engine, context, IMAGE, arguments)
    fresh = Path(tempfile.mkdtemp(dir=DIST, prefix="plugin-"))
    try:
        (fresh / "rootfs").mkdir()
        export_image(engine, IMAGE, fresh / "rootfs")
        engine.clear_leftovers()
        size = archive.tree_size(fresh / "rootfs")
        if size > SIZE_LIMIT:
            raise BuildError(
                f"the root file system has {size} bytes; the limit is {SIZE_LIMIT}",
                "find the largest files: du -a dist/plugin-*/rootfs | sort -n",
            )
        (fresh / "config.json").write_text(stamped(CONFIG.read_text(), key))
        fresh.chmod(0o755)
        shutil.rmtree(PLUGIN, ignore_errors=True)
        fresh.rename(PLUGIN)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Built(key, archive.tree_hash(PLUGIN / "rootfs"), size, engine.architecture)


def _fill(context: Path, wheel_folder: Path) -> None:
    """Copy everything that the Dockerfile needs into the build context."""
    shutil.copy(DOCKERFILE, context / "Dockerfile")
    shutil.copy(wheels.REQUIREMENTS, context / "requirements.txt")
    for script in SCRIPTS:
        shutil.copy(script, context)
    shutil.copytree(wheel_folder, context / "wheels")
    unwanted = shutil.ignore_patterns(*NOT_SHIPPED)
    shutil.copytree(SOURCE, context / "src/evercan", ignore=unwanted)


def weekly_arguments() -> dict[str, str]:
    """Return the build arguments of a root file system: the week, and the time of its files."""
    return {
        "APT_WEEK": time.strftime("%G-%V", time.gmtime()),
        "SOURCE_DATE_EPOCH": str(commit_time()),
    }


def commit_time() -> int:
    """Return SOURCE_DATE_EPOCH, else the last commit's time, else 0, in seconds since 1970."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    shown = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"], check=False, capture_output=True
    )
    return int(shown.stdout or 0)


def build_image(
    engine: BuildEngine,
    context: Path,
    tag: str,
    arguments: dict[str, str] | None = None,
    stage: str | None = None,
    *,
    from_scratch: bool = False,
) -> str:
    """Build an image from a folder with a ``Dockerfile``, on the host's network.

    Args:
        engine: Where to build.
        context: The folder.
        tag: The image's name.
        arguments: Build arguments by name.
        stage: The stage to stop after; None for the last.
        from_scratch: Use no layer of an earlier build.

    Returns:
        The image's id.

    Raises:
        BuildError: A step failed; its last lines are in the text.
    """
    packed = io.BytesIO()
    archive.write_tar(context, packed)
    packed.seek(0)
    try:
        image, _ = engine.client.images.build(
            fileobj=packed,
            custom_context=True,
            tag=tag,
            buildargs=arguments or {},
            target=stage,
            nocache=from_scratch,
            platform=f"linux/{engine.architecture}" if engine.foreign else None,
            network_mode="host",
            rm=True,
            forcerm=True,
        )
    except StepFailed as error:
        lines = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise BuildError(
            f"building {tag} failed: {error}\n{lines[-3000:]}",
            "read the output of the last step above",
        ) from error
    return str(image.id)


def export_image(engine: BuildEngine, tag: str, target: Path) -> None:
    """Unpack an image's files into an existing folder, without running anything."""
    container = engine.client.containers.create(
        tag,
        ["never-run"],
        network_mode="none",
        platform=f"linux/{engine.architecture}" if engine.foreign else None,
    )
    try:
        chunks: Iterable[bytes] = engine.client.api.export(str(container.id))
        archive.unpack_export(chunks, target)
    finally:
        container.remove()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.plugin", description=__doc__)
    parser.add_argument(
        "--fallback", metavar="DOCKER_HOST", help="engine to build on if there is no other"
    )
    options = parser.parse_args()
    try:
        built = build(options.fallback)
    except ToolError as error:
        sys.exit(f"evercan: {error}")
    print(built)


if __name__ == "__main__":
    main()
