"""Test how the engine and the plugin are named: options, variables, and ssh."""

from __future__ import annotations

import os
import socket
import socketserver
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evercan.cli.access.ssh import SshTunnel
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import engine_answers, network_entry, plugin_entry
from tests.support.overviews import network_document, status_document

EVERCAN = plugin_entry("evercan:latest")
POWERTRAIN = network_entry(
    engine_id("powertrain"), "powertrain", {"dashboard": engine_id("dashboard")}
)
STATUS = status_document(network_document("powertrain", 1))


@pytest.fixture
def served(host: Host) -> Host:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    return host


def sockets(host: Host) -> str:
    return str(host.engine_socket.parent)


# --- options -----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-H", "--host", "--engine"])
def test_the_engine_is_named_before_or_after_the_command(
    served: Host, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    address = f"unix://{served.engine_socket}"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    folder = sockets(served)
    for arguments in (
        (option, address, "status", "--sockets", folder),
        (option, address, "--sockets", folder, "status"),
        ("status", option, address, "--sockets", folder),
    ):
        ended = served.run_elsewhere(*arguments)
        assert (ended.status, ended.err) == (0, "")
        assert "powertrain" in ended.out


def test_an_option_after_the_command_counts_more_than_one_before_it(served: Host) -> None:
    address = f"unix://{served.engine_socket}"
    ended = served.run_elsewhere(
        "-H", "tcp://127.0.0.1:1", "status", "-H", address, "--sockets", sockets(served)
    )
    assert ended.status == 0


@pytest.mark.parametrize("option", ["--plugin", "--driver"])
def test_the_plugin_is_named_before_or_after_the_command(served: Host, option: str) -> None:
    folder = ("--sockets", sockets(served))
    for arguments in (
        (option, "other:1", "status", *folder),
        ("status", option, "other:1", *folder),
    ):
        ended = served.run_elsewhere(*arguments)
        assert ended.status == 2
        assert "no evercan plugin named other:1 (plugins: evercan:latest)" in ended.err


@pytest.mark.parametrize(
    ("before", "after", "image"),
    [
        ((), (), "environment"),
        (("--helper-image", "before"), (), "before"),
        (("--helper-image", "before"), ("--helper-image", "after"), "after"),
    ],
)
def test_an_option_for_the_helper_image_counts_more_than_the_environment(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[str, ...],
    after: tuple[str, ...],
    image: str,
) -> None:
    answers = engine_answers([POWERTRAIN], [EVERCAN])
    missing = {"message": f"No such image: {image}"}
    host.engine_that({**answers, "/containers/create": (404, missing)})
    monkeypatch.setenv("EVERCAN_HELPER_IMAGE", "environment")
    ended = host.run_elsewhere(*before, "status", *after)
    assert ended.status == 2
    assert f"has no image {image} for the container that reaches the host of" in ended.err


# --- addresses ---------------------------------------------------------------------------


def test_an_address_without_a_scheme_is_tcp(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    port = host.engine_on_tcp([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    monkeypatch.setenv("DOCKER_HOST", f"127.0.0.1:{port}")
    assert host.run("status").status == 0
    monkeypatch.setenv("DOCKER_HOST", "127.0.0.1:1")
    assert "no Docker engine answers at tcp://127.0.0.1:1;" in host.run("status").err


@pytest.mark.parametrize(
    ("tls", "address", "where"),
    [
        ("", "gateway.invalid", "tcp://gateway.invalid:2375"),
        ("1", "tcp://gateway.invalid", "tcp://gateway.invalid:2376"),
    ],
)
def test_an_address_without_a_port_has_that_of_docker(
    host: Host, monkeypatch: pytest.MonkeyPatch, tls: str, address: str, where: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    if tls:
        monkeypatch.setenv("DOCKER_TLS_VERIFY", tls)
    assert where in host.run("status").err


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_only_a_local_engine_is_to_be_started(
    host: Host, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    ended = host.run(command)
    assert "systemctl start docker" in ended.out + ended.err
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    ended = host.run(command)
    assert "systemctl start docker" not in ended.out + ended.err
    assert "check the address (DOCKER_HOST or -H)" in ended.out + ended.err


# --- ssh ---------------------------------------------------------------------------------

_SSH = """#!{python}
import os, select, socket, sys
print(" ".join(sys.argv[1:]), file=open({log!r}, "a"))
if {error!r}:
    sys.exit({error!r})
engine = socket.socket(socket.AF_UNIX)
engine.connect({engine!r})
ends = {{0: engine.fileno(), engine.fileno(): 1}}
while ends:
    for end in select.select(list(ends), [], [])[0]:
        data = os.read(end, 65536)
        if data:
            os.write(ends[end], data)
        elif end == 0:
            engine.shutdown(socket.SHUT_WR)
            del ends[end]
        else:
            sys.exit(0)
"""


class FakeSsh:
    """A program ``ssh`` that connects its input and output to the engine's socket."""

    def __init__(self, folder: Path, engine: Path) -> None:
        self._folder, self._engine = folder, engine
        self._log = folder / "ssh.log"

    def install(self, error: str = "") -> None:
        program = self._folder / "ssh"
        program.write_text(
            _SSH.format(
                python=sys.executable, log=str(self._log), error=error, engine=str(self._engine)
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def ssh(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSsh:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    fake = FakeSsh(folder, host.engine_socket)
    fake.install()
    return fake


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ssh://gateway", "-o ConnectTimeout=30 -T -- gateway docker system dial-stdio"),
        (
            "ssh://me@gateway:2222",
            "-o ConnectTimeout=30 -T -l me -p 2222 -- gateway docker system dial-stdio",
        ),
        (
            "ssh://gateway/run/user/1000/docker.sock",
            (
                "-o ConnectTimeout=30 -T -- gateway docker --host "
                "unix:///run/user/1000/docker.sock system dial-stdio"
            ),
        ),
    ],
)
def test_an_engine_is_reached_through_ssh(
    served: Host, ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    ended = served.run("status")
    assert (ended.status, ended.err) == (0, "")
    assert "dashboard" in ended.out
    assert set(ssh.calls()) == {words}


@pytest.mark.usefixtures("ssh")
def test_ssh_and_its_folder_are_gone_at_the_end(
    served: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert served.run("status", "-H", "ssh://gateway").status == 0
    assert list(tmp_path.glob("evercan-ssh-*")) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "programs/ssh") not in running.stdout


class StreamServer(socketserver.ThreadingUnixStreamServer):
    """An engine that sends first, reads until its input is closed, and then sends again."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"frame\n")
            got = self.rfile.read()
            self.wfile.write(b"got %d bytes\n" % len(got))


@pytest.mark.usefixtures("ssh")
def test_streams_pass_through_ssh_in_both_directions_and_side_by_side(host: Host) -> None:
    """Frames are such a stream, and the helper container ends when its input is closed."""
    with StreamServer(str(host.engine_socket), StreamServer.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        tunnel = SshTunnel("ssh://gateway")
        try:
            connections = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for connection in connections:
                connection.settimeout(20)
                connection.connect(tunnel.address.removeprefix("unix://"))
            files = [connection.makefile("rb") for connection in connections]
            for connection, file in zip(connections, files, strict=True):
                assert file.readline() == b"frame\n"
                connection.sendall(b"x" * 300_000)
                connection.shutdown(socket.SHUT_WR)
                assert file.read() == b"got 300000 bytes\n"
                file.close()
                connection.close()
        finally:
            tunnel.close()
            server.shutdown()
            thread.join()


def test_an_error_of_ssh_is_one_sentence(
    host: Host, ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh.install(error="me@gateway: Permission denied (publickey).")
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@gateway:2222/run/docker.sock")
    ended = host.run_elsewhere("status")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "evercan: cannot reach the engine at ssh://me@gateway:2222/run/docker.sock through ssh "
        "(me@gateway: Permission denied (publickey).); make this command work: "
        "ssh ssh://me@gateway:2222 docker version; or correct DOCKER_HOST\n"
    )


def test_a_missing_ssh_program_is_one_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ended = host.run_elsewhere("-H", "ssh://gateway", "status")
    assert ended.status == 2
    assert ended.err.startswith(
        "evercan: cannot reach ssh://gateway: the program ssh is not installed; install an SSH"
    )


def test_doctor_reports_that_an_engine_is_not_reached_through_ssh(host: Host, ssh: FakeSsh) -> None:
    ssh.install(error="ssh: connect to host gateway port 22: Connection refused")
    ended = host.run("doctor", "-H", "ssh://gateway")
    assert ended.status == 1
    assert "Connection refused" in " ".join(ended.out.split())
    assert "→ make this command work: ssh ssh://gateway docker version" in ended.out
    assert "systemctl" not in ended.out
