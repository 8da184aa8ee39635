"""A read-only registry on the loopback address with one plugin, for an upgrade in place.

It runs on the engine's host, in a temporary container made of the plugin's own root file system,
with the standard library alone. It binds 127.0.0.1 and prints its port as its first line.

With the engine's folder of plugins at `PLUGINS` and a plugin's id in the environment variable
``OLD``, it also serves that plugin as it is at the start, under the tag `OLD_TAG`: the way back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path("/registry")
PLUGINS = Path("/plugins")
MANIFEST = "manifest.json"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.plugin.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"
OLD_TAG, OLD_MANIFEST = "old", "old.json"


def keep_old(plugins: Path, plugin_id: str, folder: Path) -> None:
    """Copy an installed plugin's blobs, which the engine deletes when it upgrades the plugin.

    The manifest is created again: after an upgrade the engine has none, and still names the
    former one.

    Args:
        plugins: The engine's folder of plugins.
        plugin_id: The engine's id of the plugin.
        folder: The registry's folder.

    Raises:
        OSError: A blob is missing.
    """
    blobs = plugins / "storage/blobs/sha256"
    record = json.loads((plugins / plugin_id / "config.json").read_bytes())
    digests = [record["Config"], *(record["Blobsums"] or [])]
    for digest in digests:
        blob = folder / _hex(digest)
        if not blob.exists():
            shutil.copyfile(blobs / blob.name, blob)
    if not record["Blobsums"]:
        digests = _pack_again(folder / _hex(record["Config"]), plugins / plugin_id / "rootfs")
    descriptors = []
    for digest in digests:
        blob = folder / _hex(digest)
        with blob.open("rb") as stream:
            kind = LAYER_TYPE + (".gzip" if stream.read(2) == b"\x1f\x8b" else "")
        descriptors.append({"mediaType": kind, "digest": digest, "size": blob.stat().st_size})
    config, *layers = descriptors
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {**config, "mediaType": CONFIG_TYPE},
        "layers": layers,
    }
    content = json.dumps(manifest).encode()
    (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
    (folder / OLD_MANIFEST).write_bytes(content)


def _pack_again(config: Path, rootfs: Path) -> list[str]:
    """Make blobs of a plugin that was pulled with a compressed layer, as registries have it.

    The engine forgets that layer (``storeFetchMetadata`` in moby's plugin/fetch_linux.go does
    not list its type), and deletes it with the next plugin that is removed.

    Args:
        config: The blob of the plugin's configuration; the new ones are put beside it.
        rootfs: The plugin's files.

    Returns:
        The digests of the configuration and of the layer.
    """
    packed = config.with_name("packing")
    with tarfile.open(packed, "w") as tar:
        tar.add(rootfs, ".")
    with packed.open("rb") as stream:
        layer = hashlib.file_digest(stream, "sha256").hexdigest()
    packed.rename(config.with_name(layer))
    fields = json.loads(config.read_bytes())
    fields["rootfs"]["diff_ids"] = [f"sha256:{layer}"]
    content = json.dumps(fields).encode()
    name = hashlib.sha256(content).hexdigest()
    config.with_name(name).write_bytes(content)
    return [f"sha256:{name}", f"sha256:{layer}"]


def _hex(digest: str) -> str:
    """Return a digest without its algorithm."""
    return digest.removeprefix("sha256:")


class Handler(BaseHTTPRequestHandler):
    """Answers the four read requests of the registry protocol, version 2."""

    protocol_version = "HTTP/1.1"
    folder = FOLDER

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer with the manifest or a blob."""
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write to stderr: stdout is for the port alone."""
        print(format % args, file=sys.stderr, flush=True)

    def _answer(self, *, with_body: bool) -> None:
        """Answer ``/v2/NAME/manifests/TAG`` or ``/v2/NAME/blobs/DIGEST``."""
        path = self.path.partition("?")[0]
        tag = path.rpartition("/")[2]
        name = _hex(tag)
        if path.rstrip("/") == "/v2":
            self._send(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": "0"})
            return
        is_manifest = "/manifests/" in path
        if is_manifest and name == tag:
            name = OLD_MANIFEST if tag == OLD_TAG else MANIFEST
        elif not name.isalnum():
            name = ""
        blob = self.folder / name
        if not name or not blob.is_file():
            self._send(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        kind = "application/octet-stream"
        headers = {"Content-Length": str(blob.stat().st_size)}
        if is_manifest:
            content = blob.read_bytes()
            kind = json.loads(content).get("mediaType", MANIFEST_TYPE)
            headers["Docker-Content-Digest"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._send(HTTPStatus.OK, {"Content-Type": kind, **headers})
        if with_body:
            with blob.open("rb") as stream:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)

    def _send(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        """Send the status and the headers of an answer."""
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def main() -> None:
    """Serve until the container is removed."""
    if old := os.environ.get("OLD"):
        keep_old(PLUGINS, old, FOLDER)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
