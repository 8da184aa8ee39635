from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_plugin import small_plugin
from tools import archive, publish, release
from tools.common.errors import BuildError


def test_a_tarball_is_unpacked_to_the_plugin_that_was_packed(tmp_path: Path) -> None:
    plugin = small_plugin(tmp_path, "arm64")
    tarball = release.pack(tmp_path / "out", plugin)
    (tmp_path / "target").mkdir()
    again, number, architecture = publish.unpack(tarball, tmp_path / "target")
    assert (number, architecture) == (release.version(), "arm64")
    assert archive.tree_hash(again / "rootfs") == archive.tree_hash(plugin / "rootfs")
    documentation = json.loads((again / "config.json").read_text())["documentation"]
    assert documentation == release.released("D. Build 2.", number, "arm64")


def test_another_file_is_no_tarball(tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_text("nothing")
    with pytest.raises(BuildError, match="is no release of evercan"):
        publish.unpack(tmp_path / "other.tar.gz", tmp_path)


def test_the_reference_of_what_was_pushed_has_its_digest() -> None:
    answers: list[dict[str, Any]] = [
        {"status": "Pushing"},
        {"aux": {"Digest": "sha256:12"}},
        {"status": "done"},
    ]
    pushed = publish._pushed("localhost:5000/evercan:1-amd64", answers)
    assert pushed == "localhost:5000/evercan@sha256:12"
    with pytest.raises(BuildError, match="denied"):
        publish._pushed("ghcr.io/x/evercan:1", [{"error": "denied"}])
    with pytest.raises(BuildError, match="no digest"):
        publish._pushed("ghcr.io/x/evercan:1", [{"status": "done"}])
