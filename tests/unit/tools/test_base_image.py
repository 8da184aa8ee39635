"""The base image: the engine's own, or one that is made here for the engine's architecture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest
from docker.errors import ImageNotFound

from tools import base_image
from tools.build_engine import BuildEngine
from tools.common.architecture import Architecture
from tools.common.errors import BuildError


class Engine:
    """An engine without a registry; keeps names of images, and what was imported for what."""

    def __init__(self, *names: str, answer: str = '{"status":"sha256:1"}') -> None:
        self.names = set(names)
        self.imported: list[tuple[str, str]] = []
        self.images = SimpleNamespace(get=self._get, pull=self._pull)
        self.api = SimpleNamespace(
            base_url="http+docker://localhost", api_version="1.45", timeout=1, post=self._post
        )
        self._answer = answer

    def _get(self, name: str) -> None:
        if name not in self.names:
            raise ImageNotFound(name)

    def _pull(self, *_: str) -> None:
        raise OSError("no registry")

    def _post(self, url: str, params: dict[str, str], **_: Any) -> SimpleNamespace:
        assert url.endswith("/v1.45/images/create")
        self.names.add(f"{params['repo']}:{params['tag']}")
        self.imported.append((f"{params['repo']}:{params['tag']}", params["platform"]))
        return SimpleNamespace(ok=True, text=self._answer)


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make substitutes without mmdebstrap; returns their architectures."""
    architectures: list[str] = []

    def substitute(architecture: str) -> Path:
        architectures.append(architecture)
        tarball = tmp_path / "base.tar"
        tarball.touch()
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
    assert engine.imported == [("debian:trixie-slim", "linux/arm64")]
    assert made == ["arm64"]


def test_for_another_architecture_the_engines_own_image_keeps_its_name(made: list[str]) -> None:
    engine = Engine("debian:trixie-slim")
    for _ in range(2):
        assert ensure(engine, "arm64", foreign=True) == "evercan/base:trixie-arm64"
    assert engine.imported == [("evercan/base:trixie-arm64", "linux/arm64")]
    assert made == ["arm64"]


def test_an_import_that_the_engine_rejects_is_an_error() -> None:
    with pytest.raises(BuildError, match="no space left"):
        ensure(Engine(answer='{"error":"no space left"}'), "amd64")
