"""The process itself: start, signals, settings, and a host without CAN."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.support.engine import Engine, EngineError, engine_id
from tests.support.shared_kernel import SharedKernel

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")
SOURCE = Path(__file__).parents[2] / "src"


@dataclass
class Process:
    """``python -m evercan`` with a socket and a state folder of its own."""

    folder: Path
    popen: subprocess.Popen[str]

    @property
    def socket(self) -> Path:
        return self.folder / "evercan.sock"

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return exit status, stdout and stderr."""
        self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=20)
        return self.popen.returncode, out, err


@contextmanager
def running(
    folder: Path, *, arguments: Sequence[str] = ("-m", "evercan"), **environment: str
) -> Iterator[Process]:
    popen = subprocess.Popen(
        [sys.executable, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "EVERCAN_SOCKET": str(folder / "evercan.sock"),
            "EVERCAN_STATE_FOLDER": str(folder / "state"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(folder, popen)
    finally:
        popen.kill()
        popen.communicate()


async def connect(process: Process) -> Engine:
    """Connect as the engine does as soon as the plugin listens, and enable it."""
    engine = Engine(process.socket, SharedKernel())
    for _ in range(400):
        with suppress(FileNotFoundError, ConnectionRefusedError):
            await engine.enable()
            return engine
        assert process.popen.poll() is None, process.popen.communicate()
        await asyncio.sleep(0.025)
    raise AssertionError("the plugin does not listen")


def can_load_modules() -> bool:
    release = os.uname().release
    return Path("/sys/module/vcan").exists() or Path(f"/lib/modules/{release}").exists()


async def test_sigterm_ends_the_process_with_status_0_and_keeps_all_interfaces(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as process:
        await connect(process)
        status, out, err = process.end()
    assert (status, err) == (0, "")
    assert "evercan serves 0 networks" in out
    assert "all interfaces stay as they are" in out


@pytest.mark.skipif(
    can_load_modules() or os.geteuid() != 0, reason="needs root on a kernel without CAN modules"
)
async def test_a_host_without_can_gets_an_error_with_the_missing_module(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        engine = await connect(process)
        with pytest.raises(EngineError, match=r"modprobe v?can.*/etc/modules-load\.d"):
            await engine.create_network(NETWORK)
        assert (await engine.post("DeleteNetwork", NetworkID=NETWORK)).ok
        status, _, err = process.end()
    assert status == 0
    assert "the kernel has no vcan" in err


def test_wrong_settings_end_the_process_with_status_2_and_are_all_logged(tmp_path: Path) -> None:
    with running(
        tmp_path,
        EVERCAN_LOG_LEVEL="loud",
        EVERCAN_LOG_FORMAT="xml",
        EVERCAN_RECOVERY="never",
        EVERCAN_HEALTH_INTERVAL="often",
        EVERCAN_PROBE_INTERVAL="-1",
        EVERCAN_METRICS="9480",
    ) as process:
        _, err = process.popen.communicate(timeout=20)
    assert process.popen.returncode == 2
    intervals = ("HEALTH_INTERVAL", "PROBE_INTERVAL")
    for name in ("LOG_LEVEL", "LOG_FORMAT", "RECOVERY", *intervals, "METRICS"):
        assert f"EVERCAN_{name}=" in err


async def test_the_socket_listens_before_heavy_imports(tmp_path: Path) -> None:
    heavy = tmp_path / "aiohttp"
    heavy.mkdir()
    (heavy / "__init__.py").touch()
    for module in ("web_exceptions", "web_request", "web_response", "web_server"):
        (heavy / f"{module}.py").write_text("import time\ntime.sleep(60)\n")
    with running(tmp_path, PYTHONPATH=f"{tmp_path}:{SOURCE}") as process:
        for _ in range(400):
            with suppress(FileNotFoundError, ConnectionRefusedError):
                _, writer = await asyncio.open_unix_connection(process.socket)
                writer.close()
                await writer.wait_closed()
                break
            await asyncio.sleep(0.025)
        else:
            pytest.fail("the socket does not listen during the imports")


async def test_a_socket_file_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        await connect(first)
        first.end(signal.SIGKILL)
        assert first.socket.exists()
    with running(tmp_path) as second:
        await connect(second)


def test_an_unusable_socket_path_ends_the_process(tmp_path: Path) -> None:
    with running(tmp_path, EVERCAN_SOCKET=str(tmp_path / "absent" / "evercan.sock")) as process:
        _, err = process.popen.communicate(timeout=20)
    assert process.popen.returncode not in (0, None)
    assert "No such file or directory" in err


def test_a_state_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    state = tmp_path / "state" / "state.json"
    state.parent.mkdir()
    written = '{"format": "evercan-state", "version": 99}'
    state.write_text(written)
    with running(tmp_path) as process:
        _, err = process.popen.communicate(timeout=20)
    assert process.popen.returncode == 1
    assert "has version 99" in err
    assert "install the release that wrote it" in err
    assert state.read_text() == written


async def test_a_damaged_state_file_is_set_aside_and_the_plugin_serves(tmp_path: Path) -> None:
    state = tmp_path / "state" / "state.json"
    state.parent.mkdir()
    state.write_text("half a sta")
    with running(tmp_path) as process:
        await connect(process)
        _, _, err = process.end()
    (aside,) = state.parent.glob("state.json.damaged-*")
    assert aside.read_text() == "half a sta"
    assert aside.name in err


async def test_json_lines_are_json(tmp_path: Path) -> None:
    with running(tmp_path, EVERCAN_LOG_FORMAT="json") as process:
        await connect(process)
        _, out, _ = process.end()
    lines = [orjson.loads(line) for line in out.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert "evercan serves 0 networks" in {line["message"] for line in lines}


async def test_a_call_before_the_plugin_is_ready_is_answered(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        while not process.socket.exists():  # noqa: ASYNC110 - another process creates it
            await asyncio.sleep(0.001)
        await connect(process)


async def test_what_was_put_off_at_the_start_is_not_needed_to_serve_and_to_stop(
    tmp_path: Path,
) -> None:
    code = (
        "import evercan.deferred; from evercan import partial_import; "
        "before = partial_import.deferred(); "
        "from evercan.__main__ import main; main(); "
        "print(*before, '/', *{*before} - {*partial_import.deferred()})"
    )
    with running(tmp_path, arguments=["-c", code], EVERCAN_LOG_LEVEL="error") as process:
        engine = await connect(process)
        await engine.get("/health")
        status, out, err = process.end()
    assert (status, err) == (0, "")
    put_off, _, needed = out.partition("/")
    assert "inspect" in put_off.split()
    # Before Python 3.13, signal.signal() writes the former handler for an error that it catches.
    expected = ["inspect"] if sys.version_info < (3, 13) else []
    assert needed.split() == expected, "evercan/deferred.py puts off what is used at each start"
