import os
from pathlib import Path

import pytest

from lab import image, recipe
from lab.paths import HERE, lab_cache
from tools.common.cache import content_key


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
    assert recipe.key(tree) == recipe.key(copy)


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
    before = recipe.key(tree)
    assert callable(change)
    change(tree)
    assert recipe.key(tree) != before


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
    assert len(recipe.key()) == 16


def test_packages_are_sorted_and_unique() -> None:
    assert list(recipe.PACKAGES) == sorted(set(recipe.PACKAGES))


def test_unused_images_are_removed_but_not_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folders = [lab_cache() / f"image{number}" for number in range(6)]
    for age, folder in enumerate(folders):
        folder.mkdir()
        (folder / "about.json").write_text("{}")
        os.utime(folder, (1000 - age, 1000 - age))
    with image.in_use(image.Image(folders[5])):
        image._prune()
    assert [folder.exists() for folder in folders] == [True, True, True, False, False, True]
