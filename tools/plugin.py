"""Builds the plugin: leaves ``dist/plugin`` ready for ``docker plugin create``.

``python -m tools.plugin`` does nothing when the sources, the locked
requirements and the build files are those of the last build.
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
from dataclasses import asdict, dataclass
from pathlib import Path

from docker.errors import BuildError as StepFailed

from lab.errors import LabError
from lab.testbed import lab_testbed
from tools import archive, base_image, wheels
from tools.common import DIST, ROOT, BuildError, content_key, locked, say
from tools.engine import BuildEngine, NoEngineError, build_engine

PLUGIN = DIST / "plugin"
RECORD = DIST / "plugin.json"
CONFIG = ROOT / "plugin/config.json"
DOCKERFILE = ROOT / "build/Dockerfile.rootfs"
SCRIPTS = tuple(ROOT / "tools/rootfs" / f"{name}.py" for name in ("assemble", "check", "no_tls"))
SOURCE = ROOT / "src/evercan"
# The command-line tools are for people on the host; the daemon does not import them.
NOT_SHIPPED = ("__pycache__", "cli")
IMAGE = "evercan/rootfs"
# The budget for the unpacked root file system, in bytes.
LIMIT = 70_000_000


@dataclass(frozen=True)
class Built:
    """What the last build left.

    Attributes:
        key: hash of everything the build was made from, 16 hexadecimal digits.
        content: sha256 of the root file system's names, modes and contents.
        size: bytes in its files.
        architecture: ``amd64`` or ``arm64``.
    """

    key: str
    content: str
    size: int
    architecture: str

    def __str__(self) -> str:
        return f"dist/plugin  {self.size / 1e6:.1f} MB  {self.architecture}  build {self.key}"


def source_key() -> str:
    """Returns the key of the checkout as it is: equal keys make equal plugins."""
    return content_key(
        [
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
    """Returns config.json with the build's key in it, so that an engine can tell builds apart."""
    fields = json.loads(config)
    fields["documentation"] = f"{fields['documentation']} Build {build}."
    return json.dumps(fields, indent=2) + "\n"


def recorded(record: Path = RECORD) -> Built | None:
    """Returns what the last build left, or None if there is nothing usable."""
    try:
        return Built(**json.loads(record.read_text()))
    except (OSError, TypeError, ValueError):
        return None


def build(fallback: str | None = None, *, anew: bool = False) -> Built:
    """Builds ``dist/plugin`` unless it is there already.

    Args:
        fallback: DOCKER_HOST value of an engine to build on if there is no other.
        anew: build even so, and without any layer of an earlier build.

    Raises:
        NoEngineError: there is no engine to build on.
        BuildError: no base image, no wheels, a failed build step, or a root file
            system over its budget.
    """
    key = source_key()
    with locked(DIST / "plugin.lock", "building the plugin"):
        last = recorded()
        if not anew and last and last.key == key and (PLUGIN / "rootfs/usr/bin/python3").exists():
            say(f"dist/plugin is up to date (build {key})")
            return last
        for leftover in [*DIST.glob("context-*"), *DIST.glob("plugin-*")]:
            shutil.rmtree(leftover)  # of a build that was killed
        with build_engine(fallback) as engine:
            built = _build(engine, key, anew=anew)
        RECORD.write_text(json.dumps(asdict(built), indent=2) + "\n")
        return built


def _build(engine: BuildEngine, key: str, *, anew: bool) -> Built:
    """Builds on a given engine and puts the result in place whole."""
    architecture = engine.architecture
    with tempfile.TemporaryDirectory(dir=DIST, prefix="context-") as scratch:
        context = Path(scratch)
        _fill(context, wheels.fetch(architecture))
        base_image.ensure(engine)
        say("building the root file system")
        arguments = {
            "APT_WEEK": time.strftime("%G-%V", time.gmtime()),
            "SOURCE_DATE_EPOCH": str(commit_time()),
        }
        # The named stage outlives the clearing away of unnamed layers.
        build_image(engine, context, f"{IMAGE}-tools", arguments, stage="tools", anew=anew)
        build_image(engine, context, IMAGE, arguments)
    fresh = Path(tempfile.mkdtemp(dir=DIST, prefix="plugin-"))
    try:
        (fresh / "rootfs").mkdir()
        export_image(engine, IMAGE, fresh / "rootfs")
        engine.clear_leftovers()
        size = archive.tree_size(fresh / "rootfs")
        if size > LIMIT:
            raise BuildError(
                f"the root file system has {size} bytes, more than its budget of {LIMIT}",
                "see what grew with  du -a dist/plugin-*/rootfs | sort -n",
            )
        (fresh / "config.json").write_text(stamped(CONFIG.read_text(), key))
        fresh.chmod(0o755)
        shutil.rmtree(PLUGIN, ignore_errors=True)
        fresh.rename(PLUGIN)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Built(key, archive.tree_hash(PLUGIN / "rootfs"), size, architecture)


def _fill(context: Path, wheel_folder: Path) -> None:
    """Puts together what the Dockerfile copies."""
    shutil.copy(DOCKERFILE, context / "Dockerfile")
    shutil.copy(wheels.REQUIREMENTS, context / "plugin.txt")
    for script in SCRIPTS:
        shutil.copy(script, context)
    shutil.copytree(wheel_folder, context / "wheels")
    unwanted = shutil.ignore_patterns(*NOT_SHIPPED)
    shutil.copytree(SOURCE, context / "src/evercan", ignore=unwanted)


def commit_time() -> int:
    """Returns SOURCE_DATE_EPOCH, else the last commit's time, else 0, in seconds since 1970."""
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
    anew: bool = False,
) -> str:
    """Builds a folder with a ``Dockerfile`` into an image, on the host's network.

    Args:
        engine: where to build.
        context: the folder.
        tag: the image's name.
        arguments: build arguments by name.
        stage: the stage to stop after; None for the last.
        anew: use no layer of an earlier build.

    Returns:
        The image's id.

    Raises:
        BuildError: a step failed; its last lines are in the message.
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
            nocache=anew,
            network_mode="host",
            rm=True,
            forcerm=True,
        )
    except StepFailed as error:
        lines = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise BuildError(
            f"building {tag} failed: {error}\n{lines[-3000:]}", "see the last step above"
        ) from error
    return str(image.id)


def export_image(engine: BuildEngine, tag: str, target: Path) -> None:
    """Unpacks an image's files into an existing folder, without running anything."""
    container = engine.client.containers.create(tag, ["never-run"], network_mode="none")
    try:
        chunks: Iterable[bytes] = engine.client.api.export(str(container.id))
        archive.unpack_export(chunks, target)
    finally:
        container.remove()


def _build_anywhere(fallback: str | None) -> Built:
    """Builds, in the lab if there is no engine: whoever is not root may start none here."""
    try:
        return build(fallback)
    except NoEngineError:
        say("there is no engine to build on: using the lab's")
    with lab_testbed() as lab:
        return build(lab.docker_host)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.plugin", description=__doc__)
    parser.add_argument(
        "--fallback", metavar="DOCKER_HOST", help="engine to build on if there is no other"
    )
    options = parser.parse_args()
    try:
        built = _build_anywhere(options.fallback)
    except (BuildError, LabError) as error:
        sys.exit(f"evercan: {error}")
    print(built)
    print(f"content      sha256:{built.content}")


if __name__ == "__main__":
    main()
