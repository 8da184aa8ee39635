"""The plugin's own socket: JSON over HTTP, wherever the socket is."""

from __future__ import annotations

import http.client
import io
import json
from typing import Any

from evercan.cli.access.engine import SOCKET, Plugin
from evercan.cli.access.helper import SOCKETS
from evercan.cli.access.host import Host
from evercan.cli.errors import CliError, Silent

_NOT_FOUND = 404


class PluginSocket:
    """Somebody at a plugin's socket."""

    def __init__(self, plugin: Plugin, host: Host, folder: str = SOCKETS) -> None:
        """Take the folder in which the engine keeps its plugins' sockets, by plugin id."""
        self.plugin = plugin
        self._host = host
        self._path = f"{folder}/{plugin.id}/{SOCKET}"

    def get(self, page: str) -> dict[str, Any]:
        """Look at ``/status`` or another page; health may be bad.

        Raises:
            Silent: nobody answers.
            CliError: there is no way to it, or the answer is none.
        """
        status, answer = self._ask("GET", page, b"")
        if status not in (200, 503) or not isinstance(answer, dict):
            raise CliError(self._refusal(status, answer))
        return answer

    def post(self, page: str, document: object) -> dict[str, Any]:
        """Post a document; return the answer.

        Raises:
            Silent: nobody answers.
            CliError: there is no way to it, or it refuses.
        """
        status, answer = self._ask("POST", page, json.dumps(document).encode())
        if status != 200 or not isinstance(answer, dict):
            raise CliError(self._refusal(status, answer))
        return answer

    def _refusal(self, status: int, answer: Any) -> str:
        if status == _NOT_FOUND:
            return f"plugin {self.plugin.name} is older than this command; upgrade it"
        words = answer.get("Err") if isinstance(answer, dict) else answer
        return (
            f"plugin {self.plugin.name} refuses: {words or f'HTTP status {status}'}; see the "
            "engine's log (journalctl -u docker)"
        )

    def _ask(self, method: str, page: str, body: bytes) -> tuple[int, Any]:
        head = f"{method} {page} HTTP/1.1\r\nHost: evercan\r\nConnection: close\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        try:
            raw = self._host.exchange(self._path, f"{head}\r\n".encode() + body)
            return _parse(raw)
        except Silent as error:
            raise Silent(
                f"plugin {self.plugin.name} is enabled and does not answer ({error}); see the "
                "engine's log (journalctl -u docker), and enable it anew: docker plugin disable -f "
                f"{self.plugin.name} && docker plugin enable {self.plugin.name}"
            ) from error
        except (http.client.HTTPException, ValueError) as error:
            raise CliError(
                f"plugin {self.plugin.name} gives an answer that is none ({error}); upgrade it, or "
                "see the engine's log (journalctl -u docker)"
            ) from error


class _Bytes:
    """Bytes in the place of a connection, as ``http.client`` wants one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(raw: bytes) -> tuple[int, Any]:
    """Read an HTTP answer whose body is JSON.

    Raises:
        http.client.HTTPException, ValueError: it is none.
    """
    answer = http.client.HTTPResponse(_Bytes(raw))  # type: ignore[arg-type] # has what is used
    answer.begin()
    return answer.status, json.loads(answer.read() or b"null")
