"""The plugin's own socket, on the engine's host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evercan.cli.engine import SOCKET, Plugin
from evercan.cli.errors import CliError
from evercan.cli.http import Api

FOLDER = Path("/run/docker/plugins")
"""Where an engine keeps the sockets of its managed plugins, by plugin id."""

_NOT_FOUND = 404


def ask(plugin: Plugin, folder: Path, path: str, document: object) -> dict[str, Any]:
    """Post to a plugin; return its answer.

    Raises:
        CliError: it cannot be reached, or refuses.
    """
    socket = folder / plugin.id / SOCKET
    try:
        status, answer = Api(path=str(socket)).ask("POST", path, document)
    except PermissionError as error:
        raise CliError(f"no permission on {socket}; run this as root (sudo)") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise CliError(
            f"plugin {plugin.name} does not listen on {socket}; run this on the engine's host, "
            "and see that the plugin is enabled (docker plugin ls)"
        ) from error
    except OSError as error:
        raise CliError(f"plugin {plugin.name} cannot be asked ({error}); try again") from error
    except ValueError as error:
        raise CliError(f"plugin {plugin.name} gives an answer that is none ({error})") from error
    if status == _NOT_FOUND:
        raise CliError(f"plugin {plugin.name} is older than this command; upgrade it")
    if status != 200 or not isinstance(answer, dict):
        words = answer.get("Err") if isinstance(answer, dict) else answer
        raise CliError(f"plugin {plugin.name} refuses: {words}")
    return answer
