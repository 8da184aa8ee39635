"""Upgrades a plugin in place from a local build, so that it keeps its state.

``docker plugin rm`` deletes the plugin's propagated mount, and with it evercan's state; only
``POST /plugins/NAME/upgrade`` replaces the root file system and keeps the mount. But that call
pulls from a registry. So a registry is run for the upgrade, on the loopback address of the
engine's host (which the engine trusts without TLS), in a container that is removed afterwards.
The image of that container is the new plugin's root file system, so no other image is needed,
and nothing is written into the engine's folders directly.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from tools import archive, loopback_registry
from tools.common.errors import BuildError
from tools.common.polling import attempts
from tools.common.progress import report

HELPER = "evercan/upgrade-helper"
LABEL, PURPOSE = "evercan.purpose", "upgrade"
# Seconds in which the helper prints its port; an interpreter starts slowly under emulation.
PORT_SECONDS = 60.0


def digest_of(path: Path) -> str:
    """Return a file's sha256, 64 hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_blobs(plugin: Path, folder: Path) -> Path:
    """Write a plugin in the form in which a registry stores it.

    Args:
        plugin: A folder with config.json and rootfs/.
        folder: An existing folder. It gets each blob under its digest, and the manifest.

    Returns:
        The blob of the root file system: a tar archive.
    """
    layer = folder / "layer"
    with layer.open("wb") as stream:
        archive.write_tar(plugin / "rootfs", stream)
    layer_digest = digest_of(layer)
    layer = layer.rename(folder / layer_digest)
    fields = json.loads((plugin / "config.json").read_text())
    fields["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]}
    config = json.dumps(fields).encode()
    config_digest = hashlib.sha256(config).hexdigest()
    (folder / config_digest).write_bytes(config)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": loopback_registry.MANIFEST_TYPE,
            "config": _descriptor(loopback_registry.CONFIG_TYPE, config_digest, len(config)),
            "layers": [
                _descriptor(loopback_registry.LAYER_TYPE, layer_digest, layer.stat().st_size)
            ],
        }
    ).encode()
    (folder / loopback_registry.MANIFEST).write_bytes(manifest)
    (folder / hashlib.sha256(manifest).hexdigest()).write_bytes(manifest)
    return layer


def read_blobs(folder: Path, plugin: Path) -> None:
    """Write what `write_blobs` has written as a plugin's folder again.

    Args:
        folder: The folder with the blobs and the manifest.
        plugin: The folder to create.

    Raises:
        OSError: A blob is missing.
        KeyError: The manifest is incomplete.
    """
    manifest = json.loads((folder / loopback_registry.MANIFEST).read_text())

    def blob(entry: dict[str, str]) -> Path:
        return folder / entry["digest"].removeprefix("sha256:")

    (plugin / "rootfs").mkdir(parents=True)
    (plugin / "config.json").write_bytes(blob(manifest["config"]).read_bytes())
    with tarfile.open(blob(manifest["layers"][0])) as tar:
        tar.extractall(plugin / "rootfs", filter="tar")


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    """Return a manifest's entry for a blob of ``size`` bytes."""
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def upgrade(client: docker.DockerClient, plugin: Path, name: str) -> None:
    """Replace the root file system and the configuration of a disabled plugin.

    Its settings and its propagated mount stay as they are.

    Args:
        client: A client of the engine.
        plugin: A folder with config.json and rootfs/.
        name: The plugin's name with its tag.

    Raises:
        BuildError: The engine rejects the upgrade; the plugin is unchanged.
    """
    with _registry(client, plugin) as reference:
        report(f"the engine replaces the files of {name}")
        try:
            # types-docker has no types for these two.
            privileges = client.api.plugin_privileges(reference)  # type: ignore[no-untyped-call]
            lines = client.api.upgrade_plugin(name, reference, privileges)  # type: ignore[no-untyped-call]
            for line in lines:
                if "error" in line:
                    raise BuildError(f"upgrading {name} failed: {line['error']}", _REMEDY)
        except APIError as error:
            raise BuildError(f"upgrading {name} failed: {error.explanation}", _REMEDY) from error


_REMEDY = "read the engine's log; the plugin is unchanged"


@contextmanager
def _registry(client: docker.DockerClient, plugin: Path) -> Iterator[str]:
    """Run the temporary registry on the engine's host.

    Yields:
        The reference under which the engine can pull the plugin.
    """
    image: str | None = None
    container: Container | None = None
    for leftover in client.containers.list(all=True, filters={"label": f"{LABEL}={PURPOSE}"}):
        leftover.remove(force=True)  # left by an upgrade that was killed
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "registry")
            folder.mkdir()
            report("packing the new root file system")
            layer = write_blobs(plugin, folder)
            report("sending it to the engine")
            tag = layer.name[:12]
            client.api.import_image_from_file(str(layer), repository=HELPER, tag=tag)
            image = f"{HELPER}:{tag}"
            container = client.containers.create(
                image,
                ["/usr/bin/python3", "-I", "/registry/serve.py"],
                network_mode="host",
                cap_drop=["ALL"],
                labels={LABEL: PURPOSE},
            )
            (folder / "serve.py").write_bytes(Path(loopback_registry.__file__).read_bytes())
            _put(container, folder)
        container.start()
        yield f"127.0.0.1:{_port(container)}/evercan-upgrade:latest"
    finally:
        # A failure of the clean-up must not hide why the upgrade failed.
        with suppress(APIError):
            if container is not None:
                container.remove(force=True)
            if image is not None:
                client.images.remove(image)


def _put(container: Container, folder: Path) -> None:
    """Copy a folder to the root of a container that has not been started."""
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, folder.name)
        packed.seek(0)
        container.put_archive("/", packed)


def _port(container: Container) -> int:
    """Wait for the port that the registry prints.

    Raises:
        BuildError: The registry ended, or printed no port within `PORT_SECONDS`.
    """
    for _ in attempts(PORT_SECONDS, 0.2):
        with suppress(NotFound):
            first = container.logs(stdout=True, stderr=False).split(b"\n")[0]
            if first.strip().isdigit():
                return int(first)
            container.reload()
            if container.status == "exited":
                break
    output = container.logs().decode(errors="replace")[-1000:]
    raise BuildError(f"the upgrade's helper container printed no port: {output}", _REMEDY)
