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
    (tmp_path / "guest.sh").write_text("#!/bin/sh\n")
    return tmp_path


def test_the_key_does_not_depend_on_where_the_tree_lies(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "guest/etc").mkdir(parents=True)
    (copy / "guest/etc/hostname").write_text("lab\n")
    (copy / "guest.sh").write_text("#!/bin/sh\n")
    assert recipe.key(tree) == recipe.key(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "guest/etc/hostname").write_text("other\n"),
        lambda tree: (tree / "guest/etc/more").write_text(""),
        lambda tree: (tree / "guest/etc/hostname").rename(tree / "guest/etc/name"),
        lambda tree: (tree / "guest.sh").chmod(0o755),
    ],
)
def test_any_change_of_an_ingredient_changes_the_key(tree: Path, change: object) -> None:
    before = recipe.key(tree)
    assert callable(change)
    change(tree)
    assert recipe.key(tree) != before


def test_content_cannot_slip_from_one_file_to_the_next(tmp_path: Path) -> None:
    keys = set()
    for number, (first, second) in enumerate([("ab", "c"), ("a", "bc")]):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "1").write_text(first)
        (root / "2").write_text(second)
        keys.add(content_key((name, root / name) for name in ("1", "2")))
    assert len(keys) == 2


def test_every_ingredient_is_there() -> None:
    assert all((HERE / name).exists() for name in recipe.FILES)
    assert len(recipe.key()) == 16


def test_packages_are_sorted_and_named_once() -> None:
    assert list(recipe.PACKAGES) == sorted(set(recipe.PACKAGES))


def test_an_image_is_pruned_last_used_first_but_never_from_under_a_machine(
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
