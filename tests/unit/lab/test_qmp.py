import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.qmp import Qmp, QmpError, forwarded_ports

USERNET = (
    "Hub -1 (net):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[HOST_FORWARD]  13       127.0.0.1 33861       10.0.2.15  2375     0     0\r\n"
    "  TCP[HOST_FORWARD]  12       127.0.0.1 42765       10.0.2.15    22     0     0\r\n"
    "  TCP[ESTABLISHED]   14       127.0.0.1 42765       10.0.2.15    23     0     0\r\n"
)


def test_forwarded_ports_are_read_from_qemus_answer() -> None:
    assert forwarded_ports(USERNET) == {2375: 33861, 22: 42765}
    assert forwarded_ports("") == {}


@contextmanager
def monitor(path: Path, answers: Sequence[dict[str, object]]) -> Iterator[None]:
    """A QEMU that accepts the handshake and then sends the given answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client, client.makefile("rwb") as lines:
                lines.write(b'{"QMP": {}}\n')
                lines.flush()
                lines.readline()
                lines.write(b'{"return": {}}\n')
                for answer in answers:
                    lines.write(json.dumps(answer).encode() + b"\n")
                lines.flush()
                lines.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(5)


def test_an_event_before_the_answer_is_skipped(tmp_path: Path) -> None:
    answers: list[dict[str, object]] = [{"event": "RESET"}, {"return": {"status": "running"}}]
    with monitor(tmp_path / "q", answers), Qmp(tmp_path / "q") as qmp:
        assert qmp.execute("query-status") == {"status": "running"}


def test_the_error_of_a_rejected_command_contains_the_reason(tmp_path: Path) -> None:
    answers: list[dict[str, object]] = [{"error": {"class": "GenericError", "desc": "no such"}}]
    with (
        monitor(tmp_path / "q", answers),
        Qmp(tmp_path / "q") as qmp,
        pytest.raises(QmpError, match="device_del: no such"),
    ):
        qmp.execute("device_del", id="x")


def test_a_wait_skips_events_of_other_devices(tmp_path: Path) -> None:
    answers: list[dict[str, object]] = [
        {"event": "DEVICE_DELETED", "data": {"device": "other", "path": "/b"}},
        {"event": "DEVICE_DELETED", "data": {"device": "k0", "path": "/a"}},
    ]
    with monitor(tmp_path / "q", answers), Qmp(tmp_path / "q") as qmp:
        qmp.wait_event("DEVICE_DELETED", 5, device="k0")


def test_a_wait_ends_at_its_time_out(tmp_path: Path) -> None:
    with (
        monitor(tmp_path / "q", []),
        Qmp(tmp_path / "q") as qmp,
        pytest.raises(QmpError, match="did not report"),
    ):
        qmp.wait_event("DEVICE_DELETED", 0.05)


def test_a_socket_without_qemu_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="does not answer"):
        Qmp(tmp_path / "absent")
