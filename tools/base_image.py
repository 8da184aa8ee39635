"""The base image of the others: Debian's own, or a substitute made from Debian's packages."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tools import apt_sources, archive, foreign
from tools.build_engine import BuildEngine
from tools.common.architecture import Architecture
from tools.common.cache import cache_dir, content_key
from tools.common.errors import BuildError
from tools.common.locks import locked
from tools.common.programs import install_command, run_step
from tools.common.progress import report

RELEASE = "trixie"
REPOSITORY, TAG = "debian", f"{RELEASE}-slim"
IMAGE = f"{REPOSITORY}:{TAG}"
# On an engine of another architecture: `IMAGE` is the name of the engine's own there.
FOREIGN_REPOSITORY = "evercan/base"
# Seconds of silence after which a registry counts as out of reach.
PULL_SECONDS = 20
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure(engine: BuildEngine) -> str:
    """Pull or make the base image if the engine does not have it.

    Returns:
        Its name: `IMAGE`, or another one if the build is for another architecture than that of
        the engine's host.

    Raises:
        BuildError: It can be neither pulled nor made.
    """
    if engine.foreign:
        return _ensure_foreign(engine)
    try:
        engine.client.images.get(IMAGE)
    except ImageNotFound:
        if not _pull(engine.client):
            _import(engine, REPOSITORY, TAG)
    return IMAGE


def _ensure_foreign(engine: BuildEngine) -> str:
    tag = f"{RELEASE}-{engine.architecture}"
    name = f"{FOREIGN_REPOSITORY}:{tag}"
    try:
        engine.client.images.get(name)
    except ImageNotFound:
        _import(engine, FOREIGN_REPOSITORY, tag)
    return name


def _import(engine: BuildEngine, repository: str, tag: str) -> None:
    tarball = _substitute(engine.architecture)
    report(f"loading the substitute as {repository}:{tag}")
    with tempfile.TemporaryFile() as packed:
        archive.write_image(tarball, engine.architecture, packed)
        packed.seek(0)
        try:
            [image] = engine.client.images.load(packed)
            image.tag(repository, tag)
        except DockerException as error:
            raise BuildError(
                f"the engine does not load {tarball} as {repository}:{tag}: {error}",
                "read the engine's log; delete the file if it is damaged",
            ) from error


def _pull(client: docker.DockerClient) -> bool:
    """Pull the image; return False if no registry can be reached."""
    report(f"pulling {IMAGE}")
    timeout, client.api.timeout = client.api.timeout, PULL_SECONDS
    try:
        client.images.pull(REPOSITORY, TAG)
    except (DockerException, OSError):
        report(f"cannot pull {IMAGE}; making a substitute from Debian's packages")
        return False
    finally:
        client.api.timeout = timeout
    return True


def _substitute(architecture: Architecture) -> Path:
    """Return a tar archive of a minimal Debian, from the cache if it is there.

    Raises:
        BuildError: This machine cannot make one.
    """
    if not shutil.which("mmdebstrap"):
        raise BuildError(
            f"{IMAGE} is not on the engine and cannot be made here",
            f"let the engine pull {IMAGE}, or run: {install_command('mmdebstrap')}",
        )
    foreign.require(architecture)
    sources = apt_sources.read()
    lines = apt_sources.lines(sources, RELEASE)
    if not lines:
        raise BuildError(
            "apt on this machine names no Debian mirror to make an image from",
            f"let the engine pull {IMAGE}, or add a Debian archive to apt's sources",
        )
    command = _mmdebstrap(architecture, lines, apt_sources.keyring(apt_sources.best(sources)))
    target = cache_dir("base") / f"{content_key([('command', repr(command))])}.tar"
    with locked(target.with_suffix(".lock"), "making a minimal Debian"):
        if not target.is_file():
            time = "20 seconds" if foreign.is_native(architecture) else "3 minutes"
            report(f"making a minimal Debian for {architecture} with mmdebstrap (about {time})")
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                made = Path(scratch, "base.tar")
                run_step(
                    [*command, RELEASE, made, *lines],
                    "read the lines above; the mirror is the one in apt's sources",
                )
                made.rename(target)
    return target


def _mmdebstrap(architecture: Architecture, lines: list[str], keyring: Path | None) -> list[str]:
    """Return the command up to the suite, the target and the mirror's lines."""
    command = [
        *("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"),
        f"--architectures={architecture}",
        # As in Debian's own slim image: no manuals, no translations.
        *("--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*"),
        *("--dpkgopt=path-exclude=/usr/share/doc/*",),
        *("--dpkgopt=path-include=/usr/share/doc/*/copyright",),
    ]
    if keyring:
        command.append(f"--keyring={keyring}")
    command += [f"--aptopt={option}" for option in apt_sources.access_options()]
    if any(" https://" in line for line in lines):
        command.append("--include=ca-certificates")
        if CERTIFICATES.is_file():
            command.append(f"--customize-hook=copy-in {CERTIFICATES} /etc/ssl/certs")
    return command
