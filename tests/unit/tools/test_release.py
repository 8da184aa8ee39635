from __future__ import annotations

import json
import re
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.small_plugin import small_plugin
from tools import release, sbom
from tools.common.checkout import ROOT
from tools.common.errors import BuildError


@pytest.fixture(autouse=True)
def _commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return small_plugin(tmp_path)


def test_the_same_plugin_gives_the_same_bytes(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = release.pack(tmp_path / "first", plugin)
    copy = tmp_path / "elsewhere/plugin"
    shutil.copytree(plugin, copy)  # with other times and another path
    monkeypatch.setattr("os.umask", lambda mask: mask)
    second = release.pack(tmp_path / "second", copy)
    for file in sorted(first.parent.iterdir()):
        assert file.read_bytes() == (second.parent / file.name).read_bytes(), file.name


def test_a_tarball_has_what_the_installer_reads(plugin: Path, tmp_path: Path) -> None:
    tarball = release.pack(tmp_path / "out", plugin)
    name = f"evercan-plugin-{release.version()}-amd64"
    assert tarball.name == f"{name}.tar.gz"
    with tarfile.open(tarball) as tar:
        members = {member.name: member for member in tar}
        about = tar.extractfile(f"{name}/about")
        assert about is not None
        fields = dict(line.split("=", 1) for line in about.read().decode().splitlines())
    assert fields["architecture"] == "amd64"
    assert fields["documentation"].endswith(f" Version {release.version()} for amd64.")
    assert f"{name}/registry/{fields['layer']}" in members
    assert f"{name}/registry/serve.py" in members
    for member in members.values():
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
        assert member.mode == (0o755 if member.isdir() else 0o644)


def test_another_architecture_than_the_expected_one_is_rejected(tmp_path: Path) -> None:
    plugin = small_plugin(tmp_path, "arm64")
    with pytest.raises(BuildError, match="is built for arm64 and not for amd64"):
        release.pack(tmp_path / "out", plugin, "amd64")
    assert release.pack(tmp_path / "out", plugin, "arm64").name.endswith("-arm64.tar.gz")


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF".ljust(20, b"\0")])
def test_an_interpreter_that_is_no_known_program_is_rejected(
    plugin: Path, tmp_path: Path, content: bytes
) -> None:
    (plugin / "rootfs/usr/bin/python3").write_bytes(content)
    with pytest.raises(BuildError, match="is no program for amd64, arm64"):
        release.pack(tmp_path / "out", plugin)


def test_a_plugin_that_is_not_built_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"python -m tools\.plugin"):
        release.pack(tmp_path / "out", tmp_path)


def test_the_lists_of_components_name_every_package(plugin: Path) -> None:
    parts = sbom.components(plugin / "rootfs", "amd64")
    assert [(part.name, part.version) for part in parts] == [
        ("Uv.Loop", "1.0"),
        ("zlib1g", "1:1.3+x"),
    ]
    purls = [part.purl for part in parts]
    assert purls == [
        "pkg:pypi/uv-loop@1.0",
        "pkg:deb/debian/zlib1g@1%3A1.3%2Bx?arch=amd64&distro=debian-13",
    ]
    described = ("evercan-plugin-amd64", "1.2.3", parts, 1700000000)
    spdx = sbom.spdx(*described)
    located = [package["externalRefs"][0]["referenceLocator"] for package in spdx["packages"][1:]]
    assert located == purls
    ids = [package["SPDXID"] for package in spdx["packages"]]
    assert len(set(ids)) == len(ids)
    related = {link["relatedSpdxElement"] for link in spdx["relationships"]}
    assert related == set(ids)
    created = datetime.fromisoformat(spdx["creationInfo"]["created"])
    assert created == datetime.fromtimestamp(1700000000, UTC)
    bom = sbom.cyclonedx(*described)
    assert [part["bom-ref"] for part in bom["components"]] == purls
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-.*", bom["serialNumber"])
    assert bom["dependencies"] == [{"ref": "evercan", "dependsOn": purls}]


def test_a_file_system_without_its_packages_has_no_list(plugin: Path) -> None:
    (plugin / "rootfs" / sbom.DEBIAN_PACKAGES).unlink()
    with pytest.raises(BuildError, match="has no metadata"):
        sbom.components(plugin / "rootfs", "amd64")


CHANGES = """# Changelog

## Unreleased

- not yet

## 0.2.0 (2026-01-02)

### Added

- this

## 0.1.0

- that
"""


def test_the_text_of_a_release_is_its_section() -> None:
    assert release.notes("0.2.0", CHANGES) == "### Added\n\n- this\n"
    assert release.notes("0.1.0", CHANGES) == "- that\n"
    for missing in ("0.3.0", "0.2", "0.2.00"):
        with pytest.raises(BuildError, match=f"no text for version {missing}"):
            release.notes(missing, CHANGES)


def test_a_section_without_text_is_no_text() -> None:
    with pytest.raises(BuildError, match="no text"):
        release.notes("1.0.0", "## 1.0.0\n\n## 0.9.0\n\n- old\n")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(f"## {release.version()}\n\n- all\n")
    monkeypatch.setattr(release, "CHANGELOG", changelog)
    return changelog


def test_a_tag_of_this_version_is_accepted(checked: Path) -> None:
    release.check(f"v{release.version()}")
    checked.write_text("## Unreleased\n\n- all\n")
    with pytest.raises(BuildError, match="no text for version"):
        release.check(f"v{release.version()}")


@pytest.mark.usefixtures("checked")
def test_a_tag_of_another_version_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match=r"the tag v9\.9\.9 is not v"):
        release.check("v9.9.9")
    monkeypatch.setattr(release, "version", lambda: "9.9.9")
    with pytest.raises(BuildError, match=r"install\.sh does not install 9\.9\.9"):
        release.check("v9.9.9")


def test_an_empty_folder_has_no_checksums(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no files"):
        release.write_sums(tmp_path)


def test_a_command_prints_its_result_or_an_error_with_a_remedy(
    plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release.main(["pack", str(tmp_path / "out"), "--plugin", str(plugin)])
    release.main(["sums", str(tmp_path / "out")])
    out = capsys.readouterr().out
    assert out.count(f"evercan-plugin-{release.version()}-amd64.tar.gz") == 2
    assert out.count("evercan-plugin-amd64.") == 2
    with pytest.raises(SystemExit, match="remedy:"):
        release.main(["pack", str(tmp_path), "--plugin", str(plugin), "--expect", "arm64"])


def test_the_wheel_has_the_version_of_the_release() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project
    assert json.dumps("src/evercan/__init__.py") in project
