"""Reach the engine's host through a small container that ends with this process.

The container is not privileged. It shares the host's network namespace and binds
the folder of the plugins' sockets; where files are to be read, it binds the whole
file system read-only.
"""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator

from docker.types import Mount

from evercan.cli.access.container import IMAGE, PLAYER, OurContainer
from evercan.cli.access.engine import SDK_ERRORS, DockerEngine
from evercan.cli.access.host import TIMEOUT, ScriptResult
from evercan.cli.access.program import Program
from evercan.cli.errors import CliError, NoAccess, NoAnswer

SOCKETS = "/run/docker/plugins"

CAPTURE = "evercan-capture"
"""The image's program that reads frames."""

_SOCKETS = 16
"""Sockets that candump can have. The kernel limits the buffer of each one, to about 500 frames
unless the host's net.core.rmem_max is raised."""

# For images without that program. The empty line says that it begins: a slow host takes seconds to
# start a program in a container. Each socket gets the ids that end in one hexadecimal digit.
_CANDUMP = "echo; exec candump -L -x -d -r 4194304"
_FILTERS = [f"any,{digit:X}:F" for digit in range(_SOCKETS)]
_ALL_ERRORS = ",#1FFFFFFF"
"""Lets a socket of candump have all error frames too."""
_LIMITED = "/proc/sys/net/core/rmem_max"
"""In what candump prints if its buffers are smaller than it asked for; nothing is wrong then."""

_ROOT = "/host"
# Use the program for unix sockets that the image has.
_EXCHANGE = """
if command -v nc.openbsd >/dev/null; then set -- nc.openbsd -U "$1"
elif command -v socat >/dev/null; then set -- socat -t 30 - "UNIX-CONNECT:$1"
else echo 'it has neither nc.openbsd nor socat' >&2; exit 127
fi
exec "$@" <"$REQUEST"
"""


def capture_script(errors: bool) -> str:
    """Write the shell script that prints the frames of all interfaces."""
    first, *others = _FILTERS
    # Else each socket of candump would have each error frame.
    sockets = " ".join([first + (_ALL_ERRORS if errors else ""), *others])
    capture = f"{CAPTURE} errors" if errors else CAPTURE
    return f"command -v {CAPTURE} >/dev/null && exec {capture}; {_CANDUMP} {sockets}"


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
        # A mount of a missing folder fails; a bind would create the folder.
        mounts = [Mount(SOCKETS, SOCKETS, type="bind")]
        if files:
            mounts.append(Mount(_ROOT, "/", type="bind", read_only=True, propagation="rslave"))
        self.name = f"the host of {engine.where}"
        self._container = OurContainer(
            engine,
            image,
            f"evercan-helper-{uuid.uuid4().hex[:8]}",
            f"reaches {self.name}",
            ", or run this as root on that host",
            network_mode="host",
            userns_mode="host",
            security_opt=["label=disable"],
            mounts=mounts,
        )

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
                f"image {self._container.image} cannot be used to reach the host: {words}",
                "name another with --helper-image",
            )
        if "refused" in words or "No such file" in words:
            raise NoAnswer("nothing listens on its socket")
        raise NoAnswer(words or f"status {status}")

    def frames(self, *, errors: bool = False) -> Iterator[str]:
        """Run the image's evercan-capture, or its candump on all interfaces."""
        engine = self._container.engine
        made = self._container.call(engine.api.exec_create, ["sh", "-c", capture_script(errors)])
        try:
            left, printed = b"", b""
            for out, err in engine.api.exec_start(made["Id"], stream=True, demux=True):
                printed += err or b""
                *lines, left = (left + (out or b"")).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except SDK_ERRORS as error:
            raise engine.no_engine(error) from error
        words = printed.decode(errors="replace").splitlines()
        reason = " ".join(line.strip() for line in words if _LIMITED not in line)
        raise CliError(
            f"the capture on {self.name} has ended: "
            f"{reason.strip() or 'the engine or its container stopped'}",
            "start this again",
        )

    def player(self, interface: str) -> Program:
        """Run the image's evercan-play."""
        return self._container.player(PLAYER, interface)

    def close(self) -> None:
        """End the container and wait until it is removed."""
        self._container.close()

    def _put(self, path: str, data: bytes) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        put = self._container.engine.api.put_archive
        self._container.call(put, "/", packed.getvalue())

    def _exec(self, script: str, *arguments: str, **environment: str) -> tuple[int, bytes, bytes]:
        words = ["timeout", f"{TIMEOUT:g}", "sh", "-c", script, "sh", *arguments]
        return self._container.run(words, **environment)
