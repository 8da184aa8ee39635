"""Reach an engine through ssh, as the docker command does.

A unix socket in a private folder accepts the SDK's connections. Each connection
runs ``ssh HOST docker system dial-stdio`` with the connection as its standard
input and output, so that streams work too: the SDK's own way through ssh needs
paramiko and carries no streams.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from evercan.cli.errors import NoEngine

_CONNECT_TIMEOUT = 30
"""Seconds that ssh may take to connect."""


class SshTunnel:
    """A unix socket whose connections lead to a remote engine.

    Attributes:
        address: the socket as a DOCKER_HOST value.
    """

    def __init__(self, where: str) -> None:
        """Listen.

        Args:
            where: ``ssh://[USER@]HOST[:PORT][/PATH]``; PATH is the engine's socket there.

        Raises:
            NoEngine: ssh is not installed.
            ValueError: it is not such an address.
        """
        program = shutil.which("ssh")
        if program is None:
            raise NoEngine(
                f"cannot reach {where}: the program ssh is not installed",
                "install an SSH client (Debian and Ubuntu: apt-get install openssh-client)",
                where,
            )
        self._command = [program, *_arguments(where)]
        self._folder = Path(tempfile.mkdtemp(prefix="evercan-ssh-"))
        self._printed = self._folder / "stderr"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(self._folder / "engine.sock"))
            self._listener.listen()
        except OSError:
            self.close()
            raise
        self.address = f"unix://{self._folder}/engine.sock"
        threading.Thread(target=self._accept, daemon=True).start()

    def printed(self) -> str:
        """Return what ssh has printed to standard error."""
        with suppress(OSError):
            return self._printed.read_text(errors="replace")
        return ""

    def close(self) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for process in self._processes:
            process.terminate()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError), self._printed.open("ab") as printed:
                self._processes.append(
                    subprocess.Popen(  # noqa: S603 - the command is ours
                        self._command,
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=printed,
                        # Ctrl-C ends this command, which still needs the connection to clean up.
                        start_new_session=True,
                    )
                )


def _arguments(where: str) -> list[str]:
    parts = urlsplit(where)
    if not parts.hostname or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{where} is not ssh://[USER@]HOST[:PORT][/PATH]")
    options = ["-o", f"ConnectTimeout={_CONNECT_TIMEOUT}", "-T"]
    if parts.username:
        options += ["-l", parts.username]
    if parts.port:
        options += ["-p", str(parts.port)]
    engine = ["--host", f"unix://{parts.path}"] if parts.path.strip("/") else []
    return [*options, "--", parts.hostname, "docker", *engine, "system", "dial-stdio"]
