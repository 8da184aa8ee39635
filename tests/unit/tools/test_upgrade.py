import hashlib
import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import archive, install, loopback_registry
from tools.common.errors import BuildError
from tools.upgrade import read_blobs, write_blobs


@pytest.fixture
def plugin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "plugin"
    (folder / "rootfs/usr").mkdir(parents=True)
    (folder / "rootfs/usr/file").write_text("content")
    (folder / "config.json").write_text('{"documentation": "D. Build 1.", "entrypoint": ["x"]}')
    return folder


@pytest.fixture
def blobs(plugin_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    write_blobs(plugin_dir, folder)
    return folder


@pytest.fixture
def registry(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(loopback_registry.Handler, "folder", blobs)
    with ThreadingHTTPServer(("127.0.0.1", 0), loopback_registry.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def get(url: str, method: str = "GET") -> tuple[Message, bytes]:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return answer.headers, answer.read()


def test_the_name_of_every_blob_is_its_digest(blobs: Path) -> None:
    for blob in blobs.iterdir():
        if len(blob.name) == 64:
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_the_configuration_names_the_layer(blobs: Path) -> None:
    manifest = json.loads((blobs / "manifest.json").read_text())
    layer = manifest["layers"][0]["digest"]
    config = blobs / manifest["config"]["digest"].removeprefix("sha256:")
    assert json.loads(config.read_text())["rootfs"] == {"type": "layers", "diff_ids": [layer]}
    assert (blobs / layer.removeprefix("sha256:")).stat().st_size == manifest["layers"][0]["size"]


def test_the_registry_answers_an_engines_requests(registry: str) -> None:
    get(f"{registry}/v2/")
    headers, body = get(f"{registry}/v2/evercan/manifests/latest", "HEAD")
    assert body == b""
    digest = headers["Docker-Content-Digest"]
    assert headers["Content-Type"] == loopback_registry.MANIFEST_TYPE
    _, manifest = get(f"{registry}/v2/evercan/manifests/{digest}")
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == digest
    layer = json.loads(manifest)["layers"][0]
    _, content = get(f"{registry}/v2/evercan/blobs/{layer['digest']}")
    assert len(content) == layer["size"]


@pytest.mark.parametrize("path", ["/v2/evercan/blobs/sha256:00", "/v2/x/blobs/..", "/etc/passwd"])
def test_the_registry_serves_no_other_paths(registry: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(registry + path)
    caught.value.close()
    assert caught.value.code == 404


def test_a_build_is_recognised_by_its_key(plugin_dir: Path) -> None:
    assert install.same_build({"Config": {"Documentation": "D. Build 1."}}, plugin_dir)
    assert not install.same_build({"Config": {"Documentation": "D. Build 2."}}, plugin_dir)
    assert not install.same_build({"Config": {}}, plugin_dir)


def test_an_installation_without_a_build_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"python -m tools\.plugin"):
        install.install("unix:///nowhere", tmp_path)


def test_a_name_without_a_tag_is_rejected(plugin_dir: Path) -> None:
    with pytest.raises(BuildError, match="'evercan' has no tag"):
        install.install("unix:///nowhere", plugin_dir, "evercan")


@pytest.fixture
def installed(plugin_dir: Path, tmp_path: Path) -> Path:
    """Return an engine's folder of plugins: one plugin, as the engine stores it."""
    plugins = tmp_path / "plugins"
    store = plugins / "storage/blobs/sha256"
    store.mkdir(parents=True)
    (plugin_dir / "rootfs/usr/file").write_text("former content")
    write_blobs(plugin_dir, store)
    written = (store / loopback_registry.MANIFEST).read_bytes()
    manifest = json.loads(written)
    # After an upgrade the engine keeps no manifest, and its record names one that it has deleted.
    (store / loopback_registry.MANIFEST).unlink()
    (store / hashlib.sha256(written).hexdigest()).unlink()
    record = {
        "Config": manifest["config"]["digest"],
        "Blobsums": [layer["digest"] for layer in manifest["layers"]],
        "Manifest": f"sha256:{'0' * 64}",
    }
    (plugins / "id").mkdir()
    (plugins / "id/config.json").write_text(json.dumps(record))
    return plugins


def test_the_installed_plugin_is_served_as_the_way_back(
    blobs: Path, installed: Path, registry: str
) -> None:
    loopback_registry.keep_old(installed, "id", blobs)
    shutil.rmtree(installed)  # as the engine does after the upgrade
    headers, old = get(f"{registry}/v2/evercan/manifests/{loopback_registry.OLD_TAG}")
    _, new = get(f"{registry}/v2/evercan/manifests/0.1.0-amd64")
    assert old != new
    digest = headers["Docker-Content-Digest"]
    assert digest == f"sha256:{hashlib.sha256(old).hexdigest()}"
    assert get(f"{registry}/v2/evercan/manifests/{digest}")[1] == old
    for entry in (json.loads(old)["config"], *json.loads(old)["layers"]):
        _, content = get(f"{registry}/v2/evercan/blobs/{entry['digest']}")
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == entry["digest"]


def test_the_way_back_of_a_plugin_whose_layer_the_engine_forgot_is_packed_again(
    blobs: Path, installed: Path, plugin_dir: Path, tmp_path: Path
) -> None:
    # As after a pull from a registry: the record lists no layer, and its blob is gone.
    record = installed / "id/config.json"
    fields = json.loads(record.read_text())
    for digest in fields["Blobsums"]:
        (installed / "storage/blobs/sha256" / digest.removeprefix("sha256:")).unlink()
    record.write_text(json.dumps(fields | {"Blobsums": None}))
    shutil.copytree(plugin_dir / "rootfs", installed / "id/rootfs", symlinks=True)
    loopback_registry.keep_old(installed, "id", blobs)
    (blobs / loopback_registry.OLD_MANIFEST).replace(blobs / loopback_registry.MANIFEST)
    read_blobs(blobs, tmp_path / "again")
    again = archive.tree_hash(tmp_path / "again/rootfs")
    assert again == archive.tree_hash(plugin_dir / "rootfs")
    manifest = json.loads((blobs / loopback_registry.MANIFEST).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["documentation"] == "D. Build 1."


def test_a_missing_blob_of_the_installed_plugin_is_an_error(blobs: Path, installed: Path) -> None:
    for blob in (installed / "storage/blobs/sha256").iterdir():
        blob.unlink()
    with pytest.raises(FileNotFoundError):
        loopback_registry.keep_old(installed, "id", blobs)


def test_blobs_are_read_back_as_they_were_written(
    blobs: Path, plugin_dir: Path, tmp_path: Path
) -> None:
    read_blobs(blobs, tmp_path / "again")
    assert archive.tree_hash(tmp_path / "again/rootfs") == archive.tree_hash(plugin_dir / "rootfs")
    config = json.loads((tmp_path / "again/config.json").read_text())
    assert config["documentation"] == "D. Build 1."
