"""``evercan web``: serve a page that shows the buses live."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import signal
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evercan.cli.access.databases import Databases
from evercan.cli.access.extra import workbench
from evercan.cli.access.feed import Feed
from evercan.cli.access.live import Live
from evercan.cli.access.reach import Target
from evercan.cli.errors import CliError
from evercan.cli.signals import at_signals
from evercan.cli.views.load import NO_BITRATES, Bitrates

if TYPE_CHECKING:
    from evercan.cli.pages.web import Server

TOKEN_VARIABLE = "EVERCAN_WEB_TOKEN"  # noqa: S105 - the variable's name
"""The environment variable with the token."""

_TOKEN_LENGTH = 16
_ADDRESS = re.compile(
    r"(?:(?P<host>[^:\[\]]+|\[(?P<host6>[0-9A-Fa-f:.]+)\]):)?(?P<port>\d{1,5})", re.ASCII
)
_CHECK = 0.25
"""Seconds from one check for an unexpected error to the next."""


@dataclass(frozen=True)
class WebOptions:
    """What is served, where, and to whom.

    Attributes:
        dbc: files of databases to decode frames by.
        bitrates: those to compute the load with, where there is no controller.
        listen: address and port, or the port alone.
        token_file: a file with the token; empty for the environment's.
        names: names by which browsers may call this host.
    """

    dbc: Sequence[str] = ()
    bitrates: Bitrates = NO_BITRATES
    listen: str = ""
    token_file: str = ""
    names: Collection[str] = ()


def web(target: Target, networks: Sequence[str], options: WebOptions) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        CliError: the first reading fails, an option is wrong, or the address cannot be used.
    """
    with workbench("web"):
        from evercan.cli.pages.web import Access, Server  # noqa: PLC0415 - it belongs to an extra
    host, port = parse_address(options.listen)
    token = read_token(options.token_file)
    if not token and not ipaddress.ip_address(host).is_loopback:
        raise CliError(
            f"--listen {options.listen} lets other hosts see the page, and there is no token",
            f"give one of {_TOKEN_LENGTH} characters or more with --token-file FILE or "
            f"{TOKEN_VARIABLE}; or listen on 127.0.0.1 and use ssh -L",
        )
    live = Live(Feed(target, networks), Databases(options.dbc), options.bitrates)
    try:
        # An error of the first reading ends the command; later ones are shown on the page.
        live.start()
        names = (*options.names, *((socket.gethostname(),) if token else ()))
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(live, Server(live, Access(token, names)), (host, port), options))
    finally:
        live.close()
    if live.error is not None:
        raise live.error
    return 0


async def _serve(live: Live, server: Server, address: tuple[str, int], options: WebOptions) -> None:
    """Listen until a signal, or an unexpected error."""
    over = asyncio.Event()
    at_signals(over.set, signal.SIGINT, signal.SIGTERM)
    try:
        port = await server.start(*address)
    except OSError as error:
        raise CliError(
            f"cannot listen on {options.listen} ({error.strerror})",
            "choose another port or address with --listen",
        ) from error
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    print(f"http://{host}:{port}/  (Ctrl-C ends it)", flush=True)
    while not over.is_set() and live.error is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _CHECK)
    await server.close()


def parse_address(text: str) -> tuple[str, int]:
    """Parse ``ADDRESS:PORT`` or ``PORT``.

    Raises:
        CliError: it is neither.
    """
    found = _ADDRESS.fullmatch(text)
    if found is not None and int(found["port"]) < 1 << 16:
        host = found["host6"] or found["host"] or "127.0.0.1"
        host = "127.0.0.1" if host == "localhost" else host
        with suppress(ValueError):
            return str(ipaddress.ip_address(host)), int(found["port"])
    raise CliError(
        f"--listen {text} is not an IP address and a port",
        "write 8765, 127.0.0.1:8765, 0.0.0.0:8765 or [::1]:8765",
    )


def read_token(file: str) -> str:
    """Return the token of a file, else that of the environment; empty if there is none.

    Raises:
        CliError: the file cannot be read, or the token is too short.
    """
    source = f"--token-file {file}" if file else TOKEN_VARIABLE
    token = os.environ.get(TOKEN_VARIABLE, "")
    if file:
        try:
            token = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CliError(f"cannot read {source} ({reason})", "name another file") from error
    token = token.strip()
    if (token or file) and len(token) < _TOKEN_LENGTH:
        raise CliError(
            f"the token of {source} has {len(token)} characters",
            f"give {_TOKEN_LENGTH} or more: openssl rand -hex 16",
        )
    return token
