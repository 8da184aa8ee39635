import os
from pathlib import Path

import pytest

from lab import image, recipe
from lab.errors import LabError
from lab.paths import HERE, lab_cache
from lab.recipe import ALL, MATRIX, Recipe, chosen, named
from tools.common.architecture import Architecture
from tools.common.cache import content_key

TRIXIE = Recipe("trixie")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "guest/etc").mkdir(parents=True)
    (tmp_path / "guest/etc/hostname").write_text("lab\n")
    (tmp_path / "configure_guest.sh").write_text("#!/bin/sh\n")
    return tmp_path


def test_the_key_does_not_depend_on_the_folders_place(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "guest/etc").mkdir(parents=True)
    (copy / "guest/etc/hostname").write_text("lab\n")
    (copy / "configure_guest.sh").write_text("#!/bin/sh\n")
    assert TRIXIE.key(tree) == TRIXIE.key(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "guest/etc/hostname").write_text("other\n"),
        lambda tree: (tree / "guest/etc/more").write_text(""),
        lambda tree: (tree / "guest/etc/hostname").rename(tree / "guest/etc/name"),
        lambda tree: (tree / "configure_guest.sh").chmod(0o755),
    ],
)
def test_any_change_of_a_file_changes_the_key(tree: Path, change: object) -> None:
    before = TRIXIE.key(tree)
    assert callable(change)
    change(tree)
    assert TRIXIE.key(tree) != before


def test_content_moved_to_the_next_file_changes_the_key(tmp_path: Path) -> None:
    keys = set()
    for number, (first, second) in enumerate([("ab", "c"), ("a", "bc")]):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "1").write_text(first)
        (root / "2").write_text(second)
        keys.add(content_key((name, root / name) for name in ("1", "2")))
    assert len(keys) == 2


def test_every_file_of_the_recipe_exists() -> None:
    assert all((HERE / name).exists() for name in recipe.FILES)
    assert len(TRIXIE.key()) == 16


def test_packages_are_sorted_and_unique() -> None:
    assert list(recipe.PACKAGES) == sorted(set(recipe.PACKAGES))


def test_each_guest_has_an_image_of_its_own_and_one_kernel_of_its_architecture() -> None:
    assert len({guest.key() for guest in ALL}) == len({guest.name for guest in ALL}) == len(ALL)
    for guest in ALL:
        [kernel] = [name for name in guest.packages if name.startswith("linux-image-")]
        assert kernel.partition("/")[0] == f"linux-image-{guest.architecture}"


def test_a_newer_kernel_comes_from_its_suite_and_the_client_is_where_the_release_has_it() -> None:
    backports = named("trixie-backports")
    assert backports.suite == "trixie"
    assert "linux-image-amd64/trixie-backports" in backports.packages
    assert "docker-cli" in TRIXIE.packages
    assert "docker-cli" not in named("bookworm").packages


@pytest.mark.parametrize(
    ("name", "release", "architecture", "expected"),
    [
        ("", None, None, Recipe("trixie", "amd64")),
        ("bookworm", None, None, Recipe("bookworm", "amd64")),
        ("trixie-amd64", None, None, Recipe("trixie", "amd64")),
        ("trixie-backports-arm64", None, None, Recipe("trixie-backports", "arm64")),
        ("trixie-arm64", "forky", None, Recipe("forky", "arm64")),
        ("trixie-arm64", None, "amd64", Recipe("trixie", "amd64")),
    ],
)
def test_a_command_and_then_the_environment_choose_the_guest(
    name: str,
    release: str | None,
    architecture: Architecture | None,
    expected: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert chosen(release, architecture, {recipe.VARIABLE: name}) == expected


def test_by_default_the_guest_has_the_architecture_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert chosen(environment={}).name == "trixie-arm64"


def test_an_unknown_guest_is_rejected_with_those_that_exist() -> None:
    with pytest.raises(LabError, match=r"EVERCAN_LAB=potato: .*'potato'\nremedy: .*bookworm"):
        chosen(environment={recipe.VARIABLE: "potato"})


def test_the_matrix_has_every_release_and_both_architectures() -> None:
    guests = [named(name) for name in MATRIX]
    assert [guest.name for guest in guests] == list(MATRIX)
    assert {guest.release for guest in guests} == set(recipe.RELEASES)
    assert {guest.architecture for guest in guests} == {"amd64", "arm64"}


def test_unused_images_are_removed_but_not_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folders = [lab_cache() / f"trixie-{number:016x}" for number in range(6)]
    other = lab_cache() / f"trixie-arm64-{7:016x}"
    for age, folder in enumerate([*folders, other]):
        folder.mkdir()
        (folder / "about.json").write_text("{}")
        os.utime(folder, (1000 - age, 1000 - age))
    with image.in_use(image.Image(folders[5])):
        image._prune(TRIXIE)
    assert [folder.exists() for folder in folders] == [True, True, False, False, False, True]
    assert other.exists(), "each guest has its own images"
