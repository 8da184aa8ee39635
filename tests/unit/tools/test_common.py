import fcntl
import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import docker
import pytest

from tools import images, plugin, wheels
from tools.common.architecture import of_engine
from tools.common.cache import cache_dir, content_key
from tools.common.errors import BuildError
from tools.common.locks import locked


def test_content_and_layout_change_a_key_but_bytecode_does_not(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/a.py").write_text("1")
    first = content_key([("pkg", tmp_path / "pkg")])
    (tmp_path / "pkg/__pycache__").mkdir()
    (tmp_path / "pkg/__pycache__/a.pyc").write_text("x")
    assert content_key([("pkg", tmp_path / "pkg")]) == first
    (tmp_path / "pkg/a.py").rename(tmp_path / "pkg/b.py")
    assert content_key([("pkg", tmp_path / "pkg")]) != first


def test_a_key_keeps_neighbours_apart() -> None:
    assert content_key([("a", "bc"), ("d", "")]) != content_key([("a", "b"), ("d", "c")])


def test_the_cache_follows_the_users_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir("wheels") == tmp_path / "evercan/wheels"
    assert cache_dir("wheels").is_dir()


def test_a_lock_file_names_the_holder_and_the_lock_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    with locked(path, "testing"):
        assert "testing (process" in path.read_text()
        with path.open("a+") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with locked(path, "again"):
        assert "again" in path.read_text()


def test_an_error_contains_its_remedy() -> None:
    error = BuildError("x is missing", "add x")
    assert str(error) == "x is missing\nremedy: add x"
    assert (error.text, error.remedy) == ("x is missing", "add x")


def test_platform_tags_reach_from_trixies_c_library_to_the_oldest() -> None:
    tags = wheels.platform_tags("aarch64")
    assert tags[0] == "manylinux_2_41_aarch64"
    assert "manylinux_2_28_aarch64" in tags
    assert tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


def test_an_engine_of_an_unknown_architecture_is_rejected() -> None:
    client = cast("docker.DockerClient", SimpleNamespace(info=lambda: {"Architecture": "riscv64"}))
    with pytest.raises(BuildError, match="'riscv64' is not one of x86_64, aarch64"):
        of_engine(client)


def test_plugins_images_and_wheels_of_another_architecture_have_other_keys() -> None:
    assert plugin.source_key("amd64") != plugin.source_key("arm64")
    assert images.CAN_TOOLS_IMAGE.key("amd64") != images.CAN_TOOLS_IMAGE.key("arm64")


def test_an_unusable_file_of_the_last_build_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "plugin.json"
    assert plugin.last_build(file) is None
    for text in ("", "[]", '{"key": "k", "other": 1}'):
        file.write_text(text)
        assert plugin.last_build(file) is None
    file.write_text('{"key": "k", "content": "c", "size": 1, "architecture": "amd64"}')
    assert plugin.last_build(file) == plugin.Built("k", "c", 1, "amd64")


def test_the_plugin_needs_one_capability_and_no_devices_or_mounts() -> None:
    config = json.loads(plugin.CONFIG.read_text())
    assert config["linux"]["capabilities"] == ["CAP_NET_ADMIN"]
    assert not config["linux"]["allowAllDevices"]
    assert not config["linux"]["devices"]
    assert not config["mounts"]
    assert config["propagatedMount"] == "/var/lib/evercan"
    assert all(setting["settable"] == ["value"] for setting in config["env"])


def test_the_configuration_contains_the_builds_key() -> None:
    text = plugin.CONFIG.read_text()
    fields = json.loads(plugin.stamped(text, "0123456789abcdef"))
    assert fields["documentation"].endswith("Build 0123456789abcdef.")
    assert fields["entrypoint"] == json.loads(text)["entrypoint"]


def test_source_date_epoch_replaces_the_commits_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "42")
    assert plugin.commit_time() == 42
