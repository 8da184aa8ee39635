import io
import os
import tarfile
from pathlib import Path

import pytest

from tools import archive


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "b/deep").mkdir(parents=True)
    (root / "b/deep/file").write_text("content")
    (root / "a").write_text("first")
    (root / "link").symlink_to("b/deep/file")
    os.link(root / "a", root / "z-hard")
    return root


def packed(tree: Path, epoch: int = 0) -> bytes:
    stream = io.BytesIO()
    archive.write_tar(tree, stream, epoch)
    return stream.getvalue()


def test_an_archive_depends_on_neither_times_nor_owners(tree: Path) -> None:
    before = packed(tree)
    os.utime(tree / "a", (1, 1))
    assert packed(tree) == before
    assert packed(tree, epoch=5) != before


def test_an_archive_is_sorted_and_owned_by_root(tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(tree))) as tar:
        entries = tar.getmembers()
        assert [entry.name for entry in entries] == [
            "a",
            "b",
            "b/deep",
            "b/deep/file",
            "link",
            "z-hard",
        ]
        assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries} == {
            (0, 0, "", 0)
        }
        assert entries[-1].isreg()
        hard = tar.extractfile("z-hard")
        assert hard is not None
        assert hard.read() == b"first"


@pytest.mark.parametrize("change", ["content", "mode", "name", "target", "extra folder"])
def test_every_change_changes_the_hash_of_a_folder(tree: Path, change: str) -> None:
    before = archive.tree_hash(tree)
    match change:
        case "content":
            (tree / "a").write_text("other")
        case "mode":
            (tree / "a").chmod(0o600)
        case "name":
            (tree / "a").rename(tree / "c")
        case "target":
            (tree / "link").unlink()
            (tree / "link").symlink_to("a")
        case _:
            (tree / "empty").mkdir()
    assert archive.tree_hash(tree) != before


def test_an_export_is_unpacked_without_what_the_engine_added(tree: Path, tmp_path: Path) -> None:
    (tree / "dev/pts").mkdir(parents=True)
    (tree / ".dockerenv").touch()
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("root")
    (tree / "etc/mtab").symlink_to("/proc/mounts")
    data = packed(tree)
    target = tmp_path / "target"
    target.mkdir()
    archive.unpack_export((data[i : i + 1000] for i in range(0, len(data), 1000)), target)
    names = {p.relative_to(target).as_posix() for p in target.rglob("*")}
    assert {"a", "b/deep/file", "link", "dev", "etc/passwd", "etc/hosts"} <= names
    assert not names & {".dockerenv", "dev/pts", "etc/mtab"}
    assert archive.tree_size(target) == len("first") * 2 + len("content") + len("root")
