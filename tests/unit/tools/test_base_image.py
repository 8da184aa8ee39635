"""The base image: the engine's own, or one that is made here for the engine's architecture."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from tools import base_image
from tools.build_engine import BuildEngine
from tools.common.architecture import Architecture
from tools.common.errors import BuildError


class Engine:
    """An engine without a registry; keeps names of images, and what was loaded for what."""

    def __init__(self, *names: str, error: DockerException | None = None) -> None:
        self.names = set(names)
        self.loaded: list[tuple[str, str]] = []
        self.images = SimpleNamespace(get=self._get, pull=self._pull, load=self._load)
        self.api = SimpleNamespace(timeout=1)
        self._error = error

    def _get(self, name: str) -> None:
        if name not in self.names:
            raise ImageNotFound(name)

    def _pull(self, *_: str) -> None:
        raise OSError("no registry")

    def _load(self, stream: IO[bytes]) -> list[Any]:
        if self._error is not None:
            raise self._error
        with tarfile.open(fileobj=stream) as tar:
            [manifest] = json.load(cast("IO[bytes]", tar.extractfile("manifest.json")))
            config = json.load(cast("IO[bytes]", tar.extractfile(manifest["Config"])))
            layer = cast("IO[bytes]", tar.extractfile(manifest["Layers"][0])).read()
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]

        def tag(repository: str, tag: str) -> None:
            self.names.add(f"{repository}:{tag}")
            self.loaded.append((f"{repository}:{tag}", config["architecture"]))

        return [SimpleNamespace(tag=tag)]


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make substitutes without mmdebstrap; returns their architectures."""
    architectures: list[str] = []

    def substitute(architecture: str) -> Path:
        architectures.append(architecture)
        tarball = tmp_path / "base.tar"
        tarball.write_bytes(b"a layer")
        return tarball

    monkeypatch.setattr(base_image, "_substitute", substitute)
    return architectures


def ensure(engine: Engine, architecture: Architecture, *, foreign: bool = False) -> str:
    client = cast("docker.DockerClient", engine)
    return base_image.ensure(BuildEngine(client, False, architecture, foreign=foreign))


def test_an_image_that_is_there_is_used(made: list[str]) -> None:
    assert ensure(Engine("debian:trixie-slim"), "amd64") == "debian:trixie-slim"
    assert made == []


def test_without_a_registry_it_is_made_for_the_engines_architecture(made: list[str]) -> None:
    engine = Engine()
    assert ensure(engine, "arm64") == "debian:trixie-slim"
    assert engine.loaded == [("debian:trixie-slim", "arm64")]
    assert made == ["arm64"]


def test_for_another_architecture_the_engines_own_image_keeps_its_name(made: list[str]) -> None:
    engine = Engine("debian:trixie-slim")
    for _ in range(2):
        assert ensure(engine, "arm64", foreign=True) == "evercan/base:trixie-arm64"
    assert engine.loaded == [("evercan/base:trixie-arm64", "arm64")]
    assert made == ["arm64"]


def test_an_image_that_the_engine_rejects_is_an_error() -> None:
    with pytest.raises(BuildError, match="no space left"):
        ensure(Engine(error=DockerException("no space left")), "amd64")
