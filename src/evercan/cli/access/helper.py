"""Reach the engine's host through a small container that ends with this process.

The container is not privileged. It shares the host's network namespace and binds
the folder of the plugins' sockets; where files are to be read, it binds the whole
file system read-only. Its main process reads standard input, which this process
holds open: when this process ends, in whatever way, the engine closes that input,
and the container ends and is removed.
"""

from __future__ import annotations

import io
import socket
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Mount

from evercan.cli.access.engine import SDK_ERRORS, DockerEngine
from evercan.cli.access.host import TIMEOUT, ScriptResult
from evercan.cli.access.program import ContainerProgram, Program
from evercan.cli.errors import CliError, NoAccess, NoAnswer

IMAGE = "evercan/can-tools:latest"
SOCKETS = "/run/docker/plugins"
LABEL = "evercan.helper"

_STOP_TIMEOUT = 6
"""Seconds that the container may take to end by itself."""

_SOCKETS = 16
"""Sockets that candump can have. The kernel limits the buffer of each one, to about 500 frames."""

# The empty line says that it begins: a slow host takes seconds to start a program in a container.
# Each socket gets the ids that end in one hexadecimal digit.
_CANDUMP = "echo; exec candump -L -x -d -r 212992"
_FILTERS = [f"any,{digit:X}:F" for digit in range(_SOCKETS)]
_ALL_ERRORS = ",#1FFFFFFF"
"""Lets a socket of candump have all error frames too."""

_PLAYER = "evercan-play"
_NOT_FOUND = (126, 127)
"""Exit statuses of a program that the container does not have."""

_ROOT = "/host"
# Use the program for unix sockets that the image has.
_EXCHANGE = """
if command -v nc.openbsd >/dev/null; then set -- nc.openbsd -U "$1"
elif command -v socat >/dev/null; then set -- socat -t 30 - "UNIX-CONNECT:$1"
else echo 'it has neither nc.openbsd nor socat' >&2; exit 127
fi
exec "$@" <"$REQUEST"
"""


class HelperHost:
    """Access to an engine's host through a container: a `evercan.cli.access.host.HostAccess`."""

    root = _ROOT

    def __init__(self, engine: DockerEngine, image: str = IMAGE, *, files: bool = False) -> None:
        """Start the container.

        Args:
            engine: the engine.
            image: an image on the engine with sh, candump, and nc.openbsd or socat.
            files: bind the host's file system, read-only.

        Raises:
            CliError: the engine lacks the image, or does not start the container.
        """
        self._engine = engine
        self._image = image
        self.name = f"the host of {engine.where}"
        self._stdin: Any = None
        self._id = self._start(files=files)

    def _start(self, *, files: bool) -> str:
        api = self._engine.api
        # A mount of a missing folder fails; a bind would create the folder.
        mounts = [Mount(SOCKETS, SOCKETS, type="bind")]
        if files:
            mounts.append(Mount(_ROOT, "/", type="bind", read_only=True, propagation="rslave"))
        made = ""
        try:
            config = api.create_host_config(
                network_mode="host",
                userns_mode="host",
                auto_remove=True,
                security_opt=["label=disable"],
                mounts=mounts,
            )
            made = api.create_container(
                self._image,
                ["cat"],
                entrypoint=[],
                stdin_open=True,  # the container ends when this input closes
                name=f"evercan-helper-{uuid.uuid4().hex[:8]}",
                labels={LABEL: "1"},
                host_config=config,
            )["Id"]
            self._stdin = api.attach_socket(made, params={"stdin": 1, "stream": 1})
            api.start(made)
        except BaseException as error:
            if made:
                self._remove(made)
            if isinstance(error, ImageNotFound):
                raise CliError(
                    f"the engine at {self._engine.where} has no image {self._image}, which is "
                    "needed to reach its host",
                    "load it (in a checkout of evercan: .venv/bin/python -m tools.images --host "
                    f"{self._engine.where}), name another with --helper-image, or run this as "
                    "root on that host",
                ) from error
            if isinstance(error, APIError):
                raise CliError(
                    f"the engine at {self._engine.where} does not start the container that reaches "
                    f"its host: {error.explanation}",
                    "see its log (journalctl -u docker), or run this as root on that host",
                ) from error
            if isinstance(error, SDK_ERRORS):
                raise self._engine.no_engine(error) from error
            raise
        return str(made)

    def run(self, script: str, *arguments: str) -> ScriptResult:
        """Run a script in the container."""
        status, out, err = self._exec(script, *arguments)
        return ScriptResult(status, out.decode(errors="replace"), err.decode(errors="replace"))

    def exchange(self, path: str, request: bytes) -> bytes:
        """Connect to a socket from inside the container."""
        request_file = f"/tmp/{uuid.uuid4().hex}"  # noqa: S108 - in the helper container
        self._put(request_file, request)
        status, out, err = self._exec(_EXCHANGE, path, REQUEST=request_file)
        if out:
            return out
        words = err.decode(errors="replace").strip()
        if "ermission denied" in words:
            raise NoAccess(f"no permission on {path} at {self.name}: {words}")
        if status == 127:
            raise CliError(
                f"image {self._image} cannot be used to reach the host: {words}",
                "name another with --helper-image",
            )
        if "refused" in words or "No such file" in words:
            raise NoAnswer("nothing listens on its socket")
        raise NoAnswer(words or f"status {status}")

    def frames(self, *, errors: bool = False) -> Iterator[str]:
        """Run the image's candump on all interfaces."""
        api = self._engine.api
        first, *others = _FILTERS
        # Else each socket would have each error frame.
        command = " ".join([_CANDUMP, first + (_ALL_ERRORS if errors else ""), *others])
        try:
            made = api.exec_create(self._id, ["sh", "-c", command])
            left, printed = b"", b""
            for out, err in api.exec_start(made["Id"], stream=True, demux=True):
                printed += err or b""
                *lines, left = (left + (out or b"")).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except SDK_ERRORS as error:
            raise self._engine.no_engine(error) from error
        reason = printed.decode(errors="replace").strip() or "the engine or its container stopped"
        raise CliError(f"candump on {self.name} has ended: {reason}", "start this again")

    def player(self, interface: str) -> Program:
        """Run the image's evercan-play."""
        api = self._engine.api
        made = self._call(api.exec_create, self._id, [_PLAYER, interface], stdin=True)
        try:
            stream = self._call(api.exec_start, made["Id"], socket=True)
        except CliError as error:
            raise self._without_player() from error

        def status() -> int:
            found = int(self._call(api.exec_inspect, made["Id"])["ExitCode"] or 0)
            if found in _NOT_FOUND:
                raise self._without_player()
            return found

        return ContainerProgram(stream, status)

    def _without_player(self) -> CliError:
        return CliError(
            f"image {self._image} has no program {_PLAYER}, which sends the frames",
            "load the image again (in a checkout of evercan: .venv/bin/python -m tools.images "
            f"--host {self._engine.where}), or run this as root on that host",
        )

    def close(self) -> None:
        """End the container and wait until it is removed."""
        # The SDK returns a file for the socket, and keeps the socket itself open.
        stdin = getattr(self._stdin, "_sock", self._stdin)
        with suppress(AttributeError, *SDK_ERRORS):
            stdin.shutdown(socket.SHUT_RDWR)
        try:
            self._engine.api.wait(self._id, timeout=_STOP_TIMEOUT, condition="removed")
        except NotFound:
            return
        except SDK_ERRORS:
            self._remove(self._id)

    def _remove(self, container: str) -> None:
        # It may be ending by itself, or with its engine.
        with suppress(NotFound, APIError, *SDK_ERRORS):
            self._engine.api.remove_container(container, force=True)

    def _put(self, path: str, data: bytes) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        self._call(self._engine.api.put_archive, self._id, "/", packed.getvalue())

    def _exec(self, script: str, *arguments: str, **environment: str) -> tuple[int, bytes, bytes]:
        api = self._engine.api
        made = self._call(
            api.exec_create,
            self._id,
            ["timeout", f"{TIMEOUT:g}", "sh", "-c", script, "sh", *arguments],
            environment=environment,
        )
        out, err = self._call(api.exec_start, made["Id"], demux=True)
        status = self._call(api.exec_inspect, made["Id"])["ExitCode"]
        return int(status or 0), out or b"", err or b""

    def _call(self, call: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except APIError as error:
            raise CliError(
                f"the container that reaches {self.name} is gone ({error.explanation})", "try again"
            ) from error
        except (DockerException, *SDK_ERRORS) as error:
            raise self._engine.no_engine(error) from error
