"""The declared state survives whatever happens to its file."""

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
from evercan.model.controller import ControllerSettings
from evercan.model.declared import BusKind, Configured, Declared, Endpoint, Network, Phase
from evercan.model.fault import MAX_FAULTS, WHOLE, Effect, Fault
from evercan.model.rule import OWNER_MARK, Rule
from evercan.reconcile.state_file import StateFile
from evercan.reconcile.state_format import VERSION, decode, encode
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network, physical
from tests.support.strategies import declared_states

OLD = declare([network("old")])
SETTINGS = ControllerSettings(bitrate=500_000)
NEW = declare([network("new")], [endpoint("aa", "new")], retired=["vxcanbb"])


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_without_a_file_nothing_is_declared(file: StateFile) -> None:
    assert file.load() == Declared()


def test_what_was_saved_is_loaded_by_the_next_process(file: StateFile, tmp_path: Path) -> None:
    file.save(NEW)
    assert StateFile(tmp_path).load() == NEW


def test_a_person_can_read_the_file(file: StateFile) -> None:
    file.save(NEW)
    document = orjson.loads(file.path.read_bytes())
    assert (document["format"], document["version"]) == ("evercan-state", VERSION)
    assert document["endpoints"][0]["phase"] == "joined"
    assert file.path.read_bytes().count(b"\n") > 10


texts = st.text(st.characters(codec="utf-8"), max_size=8)
controller_settings = st.builds(
    ControllerSettings,
    bitrate=st.none() | st.integers(1, 2**31),
    sample_point=st.none() | st.integers(1, 999),
    fd=st.none() | st.booleans(),
    restart_ms=st.none() | st.integers(0, 2**31),
    listen_only=st.none() | st.booleans(),
)
networks = st.builds(
    Network,
    id=texts,
    bus=texts,
    kind=st.sampled_from(BusKind),
    owns_bus=st.booleans(),
    peer_prefix=texts,
    settings=controller_settings,
)
configured_controllers = st.dictionaries(
    st.integers(1, 2**31 - 1),
    st.builds(Configured, controller_settings, st.none() | controller_settings),
    max_size=3,
)


@given(
    st.lists(networks, max_size=3),
    texts,
    st.frozensets(texts, max_size=3),
    configured_controllers,
    st.data(),
)
def test_any_declared_state_is_read_as_it_was_written(
    listed: list[Network],
    boot: str,
    retired: frozenset[str],
    configured: dict[int, Configured],
    data: st.DataObject,
) -> None:
    ids = [network.id for network in listed]
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
    effects = st.builds(Effect, *3 * [st.integers(0, WHOLE)], *2 * [st.integers(0, 60_000_000)])
    faults = st.builds(
        Fault,
        network=st.sampled_from(ids or [""]),
        slot=st.integers(1, MAX_FAULTS),
        source=texts,
        target=texts,
        ids=st.sampled_from(["", "123:7F0,00000001"]),
        effect=effects,
        until=st.none() | st.floats(0, 1e9),
    )
    state = replace(
        declare(listed, drawn, boot=boot, retired=retired),
        configured=configured,
        faults=tuple(data.draw(st.lists(faults, max_size=3)) if ids else ()),
        fault_queues=data.draw(st.frozensets(st.integers(1, 99), max_size=3)),
    )
    assert decode(encode(state)) == state


@given(declared_states())
def test_the_order_of_creation_is_kept(state: Declared) -> None:
    again = decode(encode(state))
    assert list(again.endpoints) == list(state.endpoints)
    assert list(again.networks) == list(state.networks)


# --- power cuts -----------------------------------------------------------------


class PowerCut(BaseException):
    """Not an Exception, so that no handler runs that a power cut would not run either."""


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
def test_a_power_cut_before_any_system_call_leaves_the_old_state_or_the_new(
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


def test_the_power_cuts_above_cover_every_system_call_of_a_save(file: StateFile) -> None:
    file.save(OLD)
    assert 5 <= calls_of_a_save(file.path.parent) <= 11


def test_the_file_is_synced_before_the_rename_and_the_folder_after_it(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
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
    file.save(NEW)
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_write_that_fails_is_an_error_and_keeps_the_old_state(
    file: StateFile, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    file.save(OLD)

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, fail)
        with pytest.raises(StateError, match=rf"cannot write .*{os.strerror(code)}") as failure:
            file.save(NEW)
    # The mount of a plugin that was started meanwhile stays read-only.
    assert ("restart the plugin" in failure.value.remedy) == (code == errno.EROFS)
    assert file.load() == OLD
    file.save(NEW)
    assert file.load() == NEW


# --- damage ---------------------------------------------------------------------


def damages() -> Iterator[Any]:
    state = encode(NEW)
    yield pytest.param(b"", id="empty")
    yield pytest.param(bytes(len(state)), id="zeros")
    yield pytest.param(b"\xff\xfe\x00garbage", id="garbage")
    yield pytest.param(state + state, id="twice")
    yield pytest.param(b"{}", id="no fields")
    yield pytest.param(b"[]", id="list")
    yield pytest.param(b"7", id="number")
    document = orjson.loads(state)
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
    for field, value in (("phase", "flying"), ("host_end", None), ("network", "unknown")):
        broken = {**document["endpoints"][0], field: value}
        yield pytest.param(
            orjson.dumps({**document, "endpoints": [broken]}), id=f"endpoint {field}={value}"
        )


@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_file_is_set_aside_and_the_last_good_copy_is_used(
    file: StateFile, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.save(OLD)
    file.save(NEW)
    file.path.write_bytes(damage)
    assert StateFile(tmp_path).load() == OLD
    (aside,) = tmp_path.glob("state.json.damaged-*")
    assert aside.read_bytes() == damage
    assert aside.name in caplog.text
    assert "restored from the last good copy" in caplog.text


@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_file_without_a_copy_is_set_aside_and_logged_as_an_error(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = StateFile(tmp_path)
    file.path.write_bytes(damage)
    assert file.load() == Declared()
    assert damage in files(tmp_path).values()
    assert [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert "networks must be created again" in caplog.text


@given(cut=st.integers(0, len(encode(NEW)) - 2))
def test_a_torn_file_is_never_read_as_a_whole_one(cut: int) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode(encode(NEW)[:cut])


def test_files_set_aside_never_overwrite_each_other(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    for number in range(5):
        file.path.write_text(f"damage {number}")
        file.load()
    aside = {path.read_text() for path in tmp_path.glob("*damaged*")}
    assert aside == {f"damage {number}" for number in range(5)}


def test_both_files_damaged_are_both_set_aside(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.save(OLD)
    file.save(NEW)
    for path in tmp_path.iterdir():
        path.write_text("damage")
    assert file.load() == Declared()
    assert len(list(tmp_path.glob("*damaged*"))) == 2


def test_a_newer_version_is_rejected_and_its_file_left_as_it_is(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.save(OLD)
    written = orjson.dumps({**orjson.loads(encode(NEW)), "version": VERSION + 1})
    file.path.write_bytes(written)
    before = files(tmp_path)
    with pytest.raises(
        StateError, match=rf"version {VERSION + 1}.*knows {VERSION}.*install the release"
    ):
        file.load()
    assert files(tmp_path) == before


VERSION_1 = b"""{
  "format": "evercan-state", "version": 1, "boot": "boot-1", "retired": ["vxcanbb"],
  "networks": [{"id": "new", "bus": "vcan0", "kind": "virtual", "owns_bus": true,
                "peer_prefix": "vcanp"}],
  "endpoints": [{"id": "aa", "network": "new", "host_end": "vxcanaa", "container_end": "vxcanaap",
                 "peer_prefix": "vcanp", "phase": "joined"}]}
"""


def test_a_file_of_version_1_is_read_with_everything_newer_unset() -> None:
    assert decode(VERSION_1) == NEW


VERSION_2 = b"""{
  "format": "evercan-state", "version": 2, "boot": "boot-1", "retired": [],
  "networks": [{"id": "new", "bus": "can0", "kind": "physical", "owns_bus": false,
                "peer_prefix": "vcanp",
                "settings": {"bitrate": 83333, "sample_point": null, "dbitrate": null,
                             "dsample_point": null, "fd": null, "restart_ms": 100,
                             "listen_only": null, "txqueuelen": null},
                "granted": {"bitrate": 83300, "sample_point": 875, "dbitrate": 0,
                            "dsample_point": 0}}],
  "endpoints": [{"id": "aa", "network": "new", "host_end": "vxcanaa", "container_end": "vxcanaap",
                 "peer_prefix": "vcanp", "phase": "offered", "altname": "engine"}]}
"""


def test_a_file_of_version_2_is_read_with_no_controller_configured() -> None:
    declared = decode(VERSION_2)
    assert declared.configured == {}
    assert declared.networks["new"] == replace(
        physical("new"),
        settings=ControllerSettings(bitrate=83_333, restart_ms=100),
    )
    assert declared.endpoints["aa"] == replace(
        endpoint("aa", "new", Phase.OFFERED), altname="engine"
    )


@pytest.mark.parametrize("older", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_an_older_file_is_written_back_as_the_newest_version(file: StateFile, older: bytes) -> None:
    file.path.write_bytes(older)
    declared = file.load()
    file.save(declared)
    document = orjson.loads(file.path.read_bytes())
    assert document["version"] == VERSION
    assert document["configured"] == []
    assert all("granted" not in fields for fields in document["networks"])
    assert StateFile(file.path.parent).load() == declared


def test_which_controllers_are_configured_is_kept(file: StateFile) -> None:
    made = replace(SETTINGS, sample_point=875)
    declared = replace(
        declare([physical()]),
        configured={7: Configured(SETTINGS), 9: Configured(SETTINGS, made=made)},
    )
    file.save(declared)
    assert StateFile(file.path.parent).load() == declared


@pytest.mark.parametrize(
    "wrong",
    [
        {"configured": None},
        {"configured": {}},
        {"configured": [7]},
        {"configured": [{}]},
        {"configured": [{"ifindex": 7}]},
        {"configured": [{"ifindex": "7", "asked": {}, "made": None}]},
        {"configured": [{"ifindex": True, "asked": {}, "made": None}]},
        {"configured": [{"ifindex": 7, "made": None}]},
        {"configured": [{"ifindex": 7, "asked": [], "made": None}]},
        {"configured": [{"ifindex": 7, "asked": {}, "made": []}]},
        {"configured": [{"ifindex": 7, "asked": {}, "made": {"bitrate": "500000"}}]},
        {"configured": [{"ifindex": 7, "asked": {"speed": 1}, "made": None}]},
    ],
)
def test_configured_controllers_of_the_wrong_type_are_a_damaged_file(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    file = StateFile(tmp_path)
    file.path.write_bytes(orjson.dumps({**orjson.loads(encode(NEW)), **wrong}))
    assert file.load() == Declared()
    assert list(tmp_path.glob("*damaged*"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"bitrate": "500000"}},
        {"settings": {"bitrate": True}},
        {"settings": {"fd": 1}},
        {"settings": {"speed": 1}},
        {"settings": None},
        {"settings": []},
    ],
)
def test_settings_of_the_wrong_type_are_a_damaged_file(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    file = StateFile(tmp_path)
    document = orjson.loads(encode(NEW))
    document["networks"][0] |= wrong
    file.path.write_bytes(orjson.dumps(document))
    assert file.load() == Declared()
    assert list(tmp_path.glob("*damaged*"))


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_empty_state(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.path.mkdir()
    with pytest.raises(StateError, match="cannot read"):
        file.load()


def test_a_half_written_temporary_file_is_ignored(file: StateFile, tmp_path: Path) -> None:
    file.save(NEW)
    (tmp_path / "state.json.new").write_text("half")
    assert StateFile(tmp_path).load() == NEW
    file.save(OLD)
    assert StateFile(tmp_path).load() == OLD


def test_a_chosen_number_and_a_whole_name_are_kept(file: StateFile) -> None:
    declared = declare(
        [replace(network("new"), auto_prefix="vcan")],
        [replace(endpoint("aa", "new"), ifname="powertrain")],
    )
    file.save(declared)
    assert file.load() == declared


def test_bridged_interfaces_and_rules_between_them_are_kept(file: StateFile) -> None:
    bridged = Network(id="n", bus="vcan0", bridge=("vcan9", "can1"))
    rules = {Rule(*ends, extras=OWNER_MARK) for ends in ((2, 3, 5), (3, 2, 13))}
    state = Declared(networks={"n": bridged}, host_rules=frozenset(rules))
    file.save(state)
    assert file.load() == state


@pytest.mark.parametrize("wrong", [None, "5", True, -1, 1.5])
def test_rules_of_the_wrong_type_are_a_damaged_file(wrong: object) -> None:
    rule = Rule(2, 3, 5, extras=OWNER_MARK)
    document = orjson.loads(encode(Declared(host_rules=frozenset({rule}))))
    document["host_rules"][0]["source"] = wrong
    with pytest.raises((TypeError, ValueError)):
        decode(orjson.dumps(document))
