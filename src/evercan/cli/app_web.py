"""Define the command line of ``evercan web``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from evercan.cli.options import BITRATE, DBC, DBITRATE, NETWORKS, connection, examples, target_of


@click.command(
    short_help="Serve a page that shows the buses live.",
    epilog=examples(
        "sudo evercan web",
        "evercan web powertrain --dbc car.dbc",
        "evercan web --listen 0.0.0.0:8765 --token-file token",
        "ssh -L 8765:127.0.0.1:8765 gateway sudo evercan web",
    ),
)
@NETWORKS
@DBC
@BITRATE
@DBITRATE
@click.option(
    "-l",
    "--listen",
    metavar="ADDRESS:PORT",
    default="127.0.0.1:8765",
    show_default=True,
    help="Where to listen; port 0 is any free one.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(),
    default="",
    help="File with the token that browsers have to give; without it EVERCAN_WEB_TOKEN.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name of this host in the browser's address. Repeat it for more names.  [dim]default: "
    "localhost and IP addresses, with a token this host's name too[/]",
)
@connection
def web(
    *,
    networks: tuple[str, ...],
    bitrate: int | None,
    dbitrate: int | None,
    **options: Any,
) -> int:
    """Serve a page that shows all networks, or those that are named, until Ctrl-C.

    It shows the topology, the ids with their signals, plots of signals, the load and the problems,
    and changes nothing. Only this machine can open it. To let others see it, name another address
    and a token. The connection is not encrypted: on a network that you do not trust use ssh -L, or
    a proxy with TLS. It needs the extra workbench.
    """
    from evercan.cli.commands import web as command
    from evercan.cli.views.load import Bitrates

    if dbitrate and not bitrate:
        raise click.UsageError("--dbitrate needs --bitrate")
    target = target_of(options)
    shown = command.WebOptions(bitrates=Bitrates(bitrate or 0, dbitrate or 0), **options)
    return command.web(target, networks, shown)
