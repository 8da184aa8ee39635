"""The record survives whatever happens to its file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import StateError
from evercan.model.controller import ControllerSettings, Timing
from evercan.model.declared import BusKind, Declared, Endpoint, Network, Phase
from evercan.reconcile.state_file import StateFile, decode, encode
from tests.support.records import endpoint, network, record
from tests.support.worlds import records

OLD = record([network("old")])
NEW = record([network("new")], [endpoint("aa", "new")], retired=["vxcanbb"])


@pytest.fixture
def store(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_nothing_on_disk_is_an_empty_record(store: StateFile) -> None:
    assert store.load() == Declared()


def test_what_was_saved_is_loaded_by_the_next_process(store: StateFile, tmp_path: Path) -> None:
    store.save(NEW)
    assert StateFile(tmp_path).load() == NEW


def test_a_person_can_read_it(store: StateFile) -> None:
    store.save(NEW)
    document = orjson.loads(store.path.read_bytes())
    assert (document["format"], document["version"]) == ("evercan-state", 3)
    assert document["endpoints"][0]["phase"] == "joined"
    assert store.path.read_bytes().count(b"\n") > 10


texts = st.text(st.characters(codec="utf-8"), max_size=8)
networks = st.builds(
    Network,
    id=texts,
    bus=texts,
    kind=st.sampled_from(BusKind),
    owns_bus=st.booleans(),
    peer_prefix=texts,
    settings=st.builds(
        ControllerSettings,
        bitrate=st.none() | st.integers(1, 2**31),
        sample_point=st.none() | st.integers(1, 999),
        fd=st.none() | st.booleans(),
        restart_ms=st.none() | st.integers(0, 2**31),
        listen_only=st.none() | st.booleans(),
    ),
    granted=st.none() | st.builds(Timing, *4 * [st.integers(0, 2**31)]),
)


@given(st.lists(networks, max_size=3), texts, st.frozensets(texts, max_size=3), st.data())
def test_any_record_comes_back_as_it_was(
    listed: list[Network], boot: str, retired: frozenset[str], data: st.DataObject
) -> None:
    ids = [each.id for each in listed]
    endpoints = st.builds(
        Endpoint,
        id=texts,
        network=st.sampled_from(ids or [""]),
        host_end=texts,
        container_end=texts,
        peer_prefix=texts,
        phase=st.sampled_from(Phase),
    )
    drawn = data.draw(st.lists(endpoints, max_size=3)) if ids else []
    whole = record(listed, drawn, boot=boot, retired=retired)
    assert decode(encode(whole)) == whole


@given(records())
def test_the_order_of_creation_is_kept(whole: Declared) -> None:
    again = decode(encode(whole))
    assert list(again.endpoints) == list(whole.endpoints)
    assert list(again.networks) == list(whole.networks)


# --- power cuts -----------------------------------------------------------------


class PowerCut(BaseException):
    """The end of everything; no handler runs that would not run without power either."""


SYSTEM_CALLS = (
    (Path, "open"),
    (os, "fsync"),
    (Path, "exists"),
    (Path, "unlink"),
    (Path, "hardlink_to"),
    (Path, "rename"),
    (os, "open"),
    (os, "close"),
)


def cut_power_at(monkeypatch: pytest.MonkeyPatch, call: int) -> Callable[[], int]:
    """Make the CALLth system call from now the last one; return a counter of calls."""
    seen = 0

    def cut(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen >= call:
                raise PowerCut
            return original(*arguments, **keywords)

        return wrapped

    for owner, name in SYSTEM_CALLS:
        monkeypatch.setattr(owner, name, cut(getattr(owner, name)))
    return lambda: seen


def calls_of_a_save(folder: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        count = cut_power_at(patch, 1000)
        StateFile(folder).save(NEW)
        return count()


@pytest.mark.parametrize("call", range(1, 12))
def test_power_cut_before_any_system_call_leaves_the_old_record_or_the_new(
    tmp_path: Path, call: int
) -> None:
    StateFile(tmp_path).save(Declared())
    StateFile(tmp_path).save(OLD)
    with pytest.MonkeyPatch.context() as patch:
        cut_power_at(patch, call)
        try:
            StateFile(tmp_path).save(NEW)
        except PowerCut:
            pass
        else:
            patch.undo()
            assert calls_of_a_save(tmp_path) < call, "a save makes more calls than are tried"
            return
    assert StateFile(tmp_path).load() in (OLD, NEW)
    assert not list(tmp_path.glob("*damaged*"))
    StateFile(tmp_path).save(NEW)
    assert StateFile(tmp_path).load() == NEW


def test_a_save_makes_fewer_system_calls_than_the_power_cuts_above_try(store: StateFile) -> None:
    store.save(OLD)
    assert 5 <= calls_of_a_save(store.path.parent) <= 11


def test_the_file_is_synced_before_it_takes_its_name_and_the_folder_after(
    store: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        done.append("folder" if is_folder else "file")
        fsync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    store.save(NEW)
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_write_that_fails_says_so_and_keeps_the_old_record(
    store: StateFile, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    store.save(OLD)

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, fail)
        with pytest.raises(StateError, match=rf"cannot write .*{os.strerror(code)}"):
            store.save(NEW)
    assert store.load() == OLD
    store.save(NEW)
    assert store.load() == NEW


# --- damage ---------------------------------------------------------------------


def damages() -> Iterator[Any]:
    whole = encode(NEW)
    yield pytest.param(b"", id="empty")
    yield pytest.param(bytes(len(whole)), id="zeros")
    yield pytest.param(b"\xff\xfe\x00garbage", id="garbage")
    yield pytest.param(whole + whole, id="twice")
    yield pytest.param(b"{}", id="no fields")
    yield pytest.param(b"[]", id="list")
    yield pytest.param(b"7", id="number")
    document = orjson.loads(whole)
    changes: tuple[dict[str, object], ...] = (
        {"format": "another-state"},
        {"format": None},
        {"version": 0},
        {"version": "1"},
        {"version": True},
        {"version": None},
        {"boot": 7},
        {"networks": {}},
        {"networks": [7]},
        {"networks": []},
        {"endpoints": [{}]},
        {"endpoints": None},
        {"retired": "vxcanbb"},
        {"retired": [7]},
    )
    for change in changes:
        yield pytest.param(orjson.dumps({**document, **change}), id=repr(change))
    for field, value in (("kind", "quantum"), ("owns_bus", "yes"), ("bus", None)):
        broken = {**document["networks"][0], field: value}
        yield pytest.param(
            orjson.dumps({**document, "networks": [broken]}), id=f"network {field}={value}"
        )
    for field, value in (("phase", "flying"), ("host_end", None), ("network", "unheard")):
        broken = {**document["endpoints"][0], field: value}
        yield pytest.param(
            orjson.dumps({**document, "endpoints": [broken]}), id=f"endpoint {field}={value}"
        )


@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_file_is_set_aside_and_the_last_good_copy_is_used(
    store: StateFile, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(OLD)
    store.save(NEW)
    store.path.write_bytes(damage)
    assert StateFile(tmp_path).load() == OLD
    (aside,) = tmp_path.glob("state.json.damaged-*")
    assert aside.read_bytes() == damage
    assert aside.name in caplog.text
    assert "restored from the last good copy" in caplog.text


@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_file_without_a_copy_is_set_aside_and_said_aloud(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = StateFile(tmp_path)
    store.path.write_bytes(damage)
    assert store.load() == Declared()
    assert damage in files(tmp_path).values()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "networks must be created again" in caplog.text


@given(cut=st.integers(0, len(encode(NEW)) - 2))
def test_a_torn_file_is_never_taken_for_a_whole_one(cut: int) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode(encode(NEW)[:cut])


def test_files_set_aside_never_overwrite_each_other(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    for number in range(5):
        store.path.write_text(f"damage {number}")
        store.load()
    aside = {each.read_text() for each in tmp_path.glob("*damaged*")}
    assert aside == {f"damage {number}" for number in range(5)}


def test_both_files_damaged_are_both_set_aside(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.save(OLD)
    store.save(NEW)
    for file in tmp_path.iterdir():
        file.write_text("damage")
    assert store.load() == Declared()
    assert len(list(tmp_path.glob("*damaged*"))) == 2


def test_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.save(OLD)
    written = orjson.dumps({**orjson.loads(encode(NEW)), "version": 4})
    store.path.write_bytes(written)
    before = files(tmp_path)
    with pytest.raises(StateError, match=r"version 4.*knows 3.*install the release"):
        store.load()
    assert files(tmp_path) == before


VERSION_1 = b"""{
  "format": "evercan-state", "version": 1, "boot": "boot-1", "retired": ["vxcanbb"],
  "networks": [{"id": "new", "bus": "vcan0", "kind": "virtual", "owns_bus": true,
                "peer_prefix": "vcanp"}],
  "endpoints": [{"id": "aa", "network": "new", "host_end": "vxcanaa", "container_end": "vxcanaap",
                 "peer_prefix": "vcanp", "phase": "joined"}]}
"""


def test_a_file_of_version_1_is_read_and_what_is_new_is_not_set() -> None:
    assert decode(VERSION_1) == NEW


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"bitrate": "500000"}},
        {"settings": {"bitrate": True}},
        {"settings": {"fd": 1}},
        {"settings": {"speed": 1}},
        {"settings": None},
        {"settings": []},
        {"granted": [1, 2, 3, 4]},
        {"granted": {"bitrate": "1"}},
        {"granted": {"speed": 1}},
    ],
)
def test_settings_that_cannot_be_are_a_damaged_file(tmp_path: Path, wrong: dict[str, Any]) -> None:
    store = StateFile(tmp_path)
    document = orjson.loads(encode(NEW))
    document["networks"][0] |= wrong
    store.path.write_bytes(orjson.dumps(document))
    assert store.load() == Declared()
    assert list(tmp_path.glob("*damaged*"))


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_empty_record(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    store.path.mkdir()
    with pytest.raises(StateError, match="cannot read"):
        store.load()


def test_a_half_written_temporary_file_is_no_matter(store: StateFile, tmp_path: Path) -> None:
    store.save(NEW)
    (tmp_path / "state.json.new").write_text("half")
    assert StateFile(tmp_path).load() == NEW
    store.save(OLD)
    assert StateFile(tmp_path).load() == OLD
