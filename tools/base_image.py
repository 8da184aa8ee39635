"""The image that the others start from: Debian's own, or a stand-in made from its packages."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tools import apt_sources
from tools.common import BuildError, cache_dir, content_key, locked, say
from tools.engine import BuildEngine
from tools.wheels import MACHINES

RELEASE = "trixie"
REPOSITORY, TAG = "debian", f"{RELEASE}-slim"
IMAGE = f"{REPOSITORY}:{TAG}"
# Seconds of silence after which a registry counts as out of reach.
PULL_SECONDS = 20
# What apt on this machine needs to reach its mirror, it needs inside the image too.
APT_SETTINGS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure(engine: BuildEngine) -> None:
    """Sees to it that the engine has `IMAGE`.

    Raises:
        BuildError: it can be neither pulled nor made.
    """
    try:
        engine.client.images.get(IMAGE)
    except ImageNotFound:
        if not _pull(engine.client):
            tarball = _stand_in(engine.architecture)
            say(f"importing the stand-in as {IMAGE}")
            api = engine.client.api
            api.import_image_from_file(str(tarball), repository=REPOSITORY, tag=TAG)


def _pull(client: docker.DockerClient) -> bool:
    """Pulls the image; False where no registry can be reached."""
    say(f"pulling {IMAGE}")
    patience, client.api.timeout = client.api.timeout, PULL_SECONDS
    try:
        client.images.pull(REPOSITORY, TAG)
    except (DockerException, OSError):
        say(f"{IMAGE} cannot be pulled here; a stand-in is made from Debian's packages")
        return False
    finally:
        client.api.timeout = patience
    return True


def _stand_in(architecture: str) -> Path:
    """Returns a tar archive of a minimal Debian, from the cache if it can.

    Raises:
        BuildError: this machine cannot make one.
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
            say("making a minimal Debian with mmdebstrap (about 20 seconds)")
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                made = Path(scratch, "base.tar")
                done = subprocess.run(
                    [*command, RELEASE, made, *lines], check=False, capture_output=True, text=True
                )
                if done.returncode:
                    raise BuildError(
                        f"mmdebstrap failed:\n{done.stderr[-2000:]}",
                        "see its words above; the mirror is the one in apt's sources",
                    )
                made.rename(target)
    return target


def _mmdebstrap(lines: list[str], keyring: Path | None) -> list[str]:
    """Returns the command up to the suite, the target and the mirror's lines."""
    command = [
        *("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"),
        # As in Debian's own slim image: no manuals, no translations.
        *("--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*"),
        *("--dpkgopt=path-exclude=/usr/share/doc/*",),
        *("--dpkgopt=path-include=/usr/share/doc/*/copyright",),
    ]
    if keyring:
        command.append(f"--keyring={keyring}")
    for name in APT_SETTINGS:
        shown = ["apt-config", "shell", "VALUE", name]
        value = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        if value:
            command.append(f'--aptopt={name} "{value.strip().removeprefix("VALUE=")[1:-1]}"')
    if any(" https://" in line for line in lines):
        command.append("--include=ca-certificates")
        if CERTIFICATES.is_file():
            command.append(f"--customize-hook=copy-in {CERTIFICATES} /etc/ssl/certs")
    return command
