"""The base image of the others: Debian's own, or a substitute made from Debian's packages."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tools import apt_sources
from tools.build_engine import BuildEngine
from tools.common.cache import cache_dir, content_key
from tools.common.errors import BuildError
from tools.common.locks import locked
from tools.common.programs import run_step
from tools.common.progress import report
from tools.wheels import MACHINES

RELEASE = "trixie"
REPOSITORY, TAG = "debian", f"{RELEASE}-slim"
IMAGE = f"{REPOSITORY}:{TAG}"
# Seconds of silence after which a registry counts as out of reach.
PULL_SECONDS = 20
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure(engine: BuildEngine) -> None:
    """Pull or make `IMAGE` if the engine does not have it.

    Raises:
        BuildError: It can be neither pulled nor made.
    """
    try:
        engine.client.images.get(IMAGE)
    except ImageNotFound:
        if not _pull(engine.client):
            tarball = _substitute(engine.architecture)
            report(f"importing the substitute as {IMAGE}")
            api = engine.client.api
            api.import_image_from_file(str(tarball), repository=REPOSITORY, tag=TAG)


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


def _substitute(architecture: str) -> Path:
    """Return a tar archive of a minimal Debian, from the cache if it is there.

    Raises:
        BuildError: This machine cannot make one.
    """
    if MACHINES.get(architecture) != platform.machine() or not shutil.which("mmdebstrap"):
        raise BuildError(
            f"{IMAGE} is not on the engine and cannot be made here for {architecture}",
            f"let the engine pull {IMAGE}, or install mmdebstrap on a machine of its architecture",
        )
    sources = apt_sources.read()
    lines = apt_sources.lines(sources, RELEASE)
    if not lines:
        raise BuildError(
            "apt on this machine names no Debian mirror to make an image from",
            f"let the engine pull {IMAGE}, or add a Debian archive to apt's sources",
        )
    command = _mmdebstrap(lines, apt_sources.keyring(apt_sources.best(sources)))
    target = cache_dir("base") / f"{content_key([('command', repr(command))])}.tar"
    with locked(target.with_suffix(".lock"), "making a minimal Debian"):
        if not target.is_file():
            report("making a minimal Debian with mmdebstrap (about 20 seconds)")
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                made = Path(scratch, "base.tar")
                run_step(
                    [*command, RELEASE, made, *lines],
                    "read the lines above; the mirror is the one in apt's sources",
                )
                made.rename(target)
    return target


def _mmdebstrap(lines: list[str], keyring: Path | None) -> list[str]:
    """Return the command up to the suite, the target and the mirror's lines."""
    command = [
        *("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"),
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
