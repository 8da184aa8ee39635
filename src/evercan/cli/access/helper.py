"""The engine's host seen through a small container that lives as long as this process.

It is not privileged. It binds the folder of the plugins' sockets (and the whole
file system, read-only, where files are to be looked at), and is in the host's
network namespace. Its main process reads the standard input that we hold open:
if this process ends, however it ends, the engine closes that input, the
container ends and is removed.
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

from evercan.cli.access.engine import FAULTS, Engine
from evercan.cli.access.host import PATIENCE, Ended
from evercan.cli.access.unreachable import unreachable
from evercan.cli.errors import CliError, NoAccess, NoEngine, Silent

IMAGE = "evercan/can-tools:latest"
SOCKETS = "/run/docker/plugins"
LABEL = "evercan.helper"

_FAREWELL = 6
"""Seconds that it may take to end by itself."""

_ROOT = "/host"
# Whatever the image has that speaks to unix sockets.
_EXCHANGE = """
if command -v nc.openbsd >/dev/null; then set -- nc.openbsd -U "$1"
elif command -v socat >/dev/null; then set -- socat -t 30 - "UNIX-CONNECT:$1"
else echo 'it has neither nc.openbsd nor socat' >&2; exit 127
fi
exec "$@" <"$REQUEST"
"""


class HelperHost:
    """A way to the host of an engine, by a container on it. See `evercan.cli.access.host.Host`."""

    root = _ROOT

    def __init__(self, engine: Engine, image: str = IMAGE, *, files: bool = False) -> None:
        """Start the container.

        Args:
            engine: the engine.
            image: an image on it with a shell, ``nc.openbsd`` or ``socat``, and ``candump``.
            files: bind the host's file system, read-only.

        Raises:
            CliError: there is no such image, or the engine does not start it.
        """
        self._engine = engine
        self._image = image
        self.name = f"the host of {engine.where}"
        self._leash: Any = None
        self._id = self._start(files=files)

    def _start(self, *, files: bool) -> str:
        api = self._engine.api
        # Old-style binds would make a folder that is missing; a mount is refused.
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
                stdin_open=True,  # with the once of an attached client: see this module's text
                name=f"evercan-helper-{uuid.uuid4().hex[:8]}",
                labels={LABEL: "1"},
                host_config=config,
            )["Id"]
            self._leash = api.attach_socket(made, params={"stdin": 1, "stream": 1})
            api.start(made)
        except BaseException as error:
            if made:
                self._remove(made)
            if isinstance(error, ImageNotFound):
                raise CliError(
                    f"the engine at {self._engine.where} has no image {self._image}, which leads "
                    "to its host; load it (in a checkout of evercan: .venv/bin/python -m "
                    f"build.images --host {self._engine.where}), name another with --helper-image, "
                    "or run this as root on that host"
                ) from error
            if isinstance(error, APIError):
                raise CliError(
                    f"the engine at {self._engine.where} starts no container that leads to its "
                    f"host: {error.explanation}; see its log (journalctl -u docker), or run this "
                    "as root on that host"
                ) from error
            if isinstance(error, FAULTS):
                raise NoEngine(unreachable(error, self._engine.where)) from error
            raise
        return str(made)

    def run(self, script: str, *arguments: str) -> Ended:
        """Run a script in the container."""
        status, out, err = self._exec(script, *arguments)
        return Ended(status, out.decode(errors="replace"), err.decode(errors="replace"))

    def exchange(self, path: str, request: bytes) -> bytes:
        """Connect to a socket from within the container."""
        place = f"/tmp/{uuid.uuid4().hex}"  # noqa: S108 - in a container of our own
        self._put(place, request)
        status, out, err = self._exec(_EXCHANGE, path, REQUEST=place)
        if out:
            return out
        words = err.decode(errors="replace").strip()
        if "ermission denied" in words:
            raise NoAccess(f"no permission on {path} at {self.name}: {words}")
        if status == 127:
            raise CliError(f"image {self._image} cannot lead to the host: {words}")
        if "refused" in words or "No such file" in words:
            raise Silent("nobody listens on its socket")
        raise Silent(words or f"status {status}")

    def frames(self) -> Iterator[str]:
        """Let the image's candump listen to all interfaces."""
        api = self._engine.api
        try:
            made = api.exec_create(self._id, ["candump", "-L", "-x", "-d", "any"])
            left, complaint = b"", b""
            for out, err in api.exec_start(made["Id"], stream=True, demux=True):
                complaint += err or b""
                *lines, left = (left + (out or b"")).split(b"\n")
                yield from (each.decode(errors="replace") for each in lines)
        except FAULTS as error:
            raise NoEngine(unreachable(error, self._engine.where)) from error
        words = (
            complaint.decode(errors="replace").strip() or "the engine or its container went away"
        )
        raise CliError(f"candump at {self.name} has ended: {words}")

    def close(self) -> None:
        """End the container, and see that it is removed."""
        # The SDK gives a file over the socket, and keeps the socket open beside it.
        leash = getattr(self._leash, "_sock", self._leash)
        with suppress(AttributeError, *FAULTS):
            leash.shutdown(socket.SHUT_RDWR)
        try:
            self._engine.api.wait(self._id, timeout=_FAREWELL, condition="removed")
        except NotFound:
            return
        except FAULTS:
            self._remove(self._id)

    def _remove(self, container: str) -> None:
        # It may be going by itself, or with its engine.
        with suppress(NotFound, APIError, *FAULTS):
            self._engine.api.remove_container(container, force=True)

    def _put(self, place: str, data: bytes) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(place.lstrip("/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        self._call(self._engine.api.put_archive, self._id, "/", packed.getvalue())

    def _exec(self, script: str, *arguments: str, **environment: str) -> tuple[int, bytes, bytes]:
        api = self._engine.api
        made = self._call(
            api.exec_create,
            self._id,
            ["timeout", f"{PATIENCE:g}", "sh", "-c", script, "sh", *arguments],
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
                f"the container that leads to {self.name} is gone ({error.explanation}); try again"
            ) from error
        except (DockerException, *FAULTS) as error:
            raise NoEngine(unreachable(error, self._engine.where)) from error
