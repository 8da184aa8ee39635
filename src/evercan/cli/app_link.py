"""Define the commands ``evercan link …``, their options and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from evercan.cli.options import ENGINE, JSON, NETWORKS, engine_of, examples

_DAYS = 3650


@click.group(
    short_help="Join a network to those of other hosts.",
    epilog=examples(
        "sudo evercan link add powertrain --listen 7447        # on host a",
        "sudo evercan link add powertrain --connect 10.0.0.5   # on host b: the address of a",
        "sudo evercan link status",
    ),
)
def link() -> None:
    """Join a network to the same bus on other hosts.

    A link is a container on the CAN network. It carries frames to the links of other hosts, and
    theirs to this one, over an IP network.
    """


@link.command(
    short_help="Create and start a link.",
    epilog=examples(
        "sudo evercan link add powertrain --listen 7447 --certs site/a",
        "sudo evercan link add powertrain --connect 10.0.0.5 --certs site/b",
    ),
)
@click.argument("network")
@click.option(
    "--listen",
    multiple=True,
    metavar="[ADDRESS:]PORT",
    help="Address of this host where other links connect. Repeat it for more.",
)
@click.option(
    "--connect",
    multiple=True,
    metavar="ADDRESS[:PORT]",
    help="Another link, by its host's address.  [dim]default port: 7447[/]  Repeat it for more.",
)
@click.option(
    "--certs",
    metavar="FOLDER",
    help="Encrypt, and admit only hosts with a certificate of the same authority: the folder that "
    "'evercan link certs' made for this host.",
)
@click.option(
    "--allow", metavar="HOST,HOST", help="Admit only these hosts, by their certificates' names."
)
@click.option(
    "--bus", metavar="NAME", help="The bus's name, the same on all hosts.  [dim]default: NETWORK[/]"
)
@click.option(
    "--as", "host_name", metavar="NAME", help="This host's name.  [dim]default: the engine's[/]"
)
@click.option(
    "--deadline",
    metavar="MILLISECONDS",
    help="Drop and count frames that are older when they arrive.  [dim]default: 100[/]",
)
@click.option(
    "--playout",
    metavar="MILLISECONDS",
    help="Write each frame this long after it arrived on its own host, so that frames keep their "
    "distances.  [dim]default: at once[/]",
)
@click.option(
    "--rate",
    metavar="FRAMES",
    help="Take at most so many frames per second from each other host.  [dim]default: no limit[/]",
)
@click.option(
    "--over",
    metavar="NETWORK",
    default="bridge",
    show_default=True,
    help="The Docker network that it reaches other hosts by.",
)
@click.option(
    "--image", default="", metavar="IMAGE", help="The link's image.  [dim]default: evercan/link[/]"
)
@ENGINE
def add(
    *, network: str, engine: str, listen: tuple[str, ...], connect: tuple[str, ...], **options: Any
) -> int:
    """Create and start a link between NETWORK and the same bus on other hosts.

    Of several links for one bus and host the oldest works; the others take over when it has gone.
    """
    from evercan.cli.commands import link as command

    return command.add(engine_of(engine), network, listen=listen, connect=connect, options=options)


@link.command(
    short_help="Remove the links of a network.", epilog=examples("sudo evercan link remove body")
)
@click.argument("network")
@ENGINE
def remove(*, network: str, engine: str) -> int:
    """Stop and remove the links of NETWORK; its bus and its containers stay as they are."""
    from evercan.cli.commands import link as command

    return command.remove(engine_of(engine), network)


@link.command(
    short_help="Show links, other hosts, and counts of frames.",
    epilog=examples(
        "sudo evercan link status", "evercan link status --json | jq '.links[].health'"
    ),
)
@NETWORKS
@JSON
@ENGINE
def status(*, networks: tuple[str, ...], engine: str, json: bool) -> int:
    """Show the links of all networks, or of those that are named.

    Exit status: 0 all are healthy; 1 one is not.
    """
    from evercan.cli.commands import link as command

    return command.status(engine_of(engine), networks, json=json)


@link.command(
    short_help="Make certificates for the hosts of a site.",
    epilog=examples("evercan link certs site a=10.0.0.5 b=10.0.0.6"),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("hosts", nargs=-1, required=True, metavar="HOST[=ADDRESS,...]...")
@click.option(
    "--days", type=click.IntRange(1), default=_DAYS, show_default=True, help="How long they last."
)
def certs(*, folder: Path, hosts: tuple[str, ...], days: int) -> int:
    """Make a certificate authority in FOLDER, and in FOLDER/HOST what each host needs.

    If FOLDER has an authority already, it is used. It needs the program openssl.
    """
    from evercan.cli.commands import link_certs as command

    return command.certs(folder, hosts, days)


@link.command(
    short_help="Print the frames of another host's bus.",
    epilog=examples("evercan link join powertrain 10.0.0.5 --certs site/desk"),
)
@click.argument("bus")
@click.argument("address", metavar="ADDRESS[:PORT]")
@click.option(
    "--certs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that 'evercan link certs' made for this machine.",
)
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="End after N frames.")
def join(*, bus: str, address: str, certs: Path | None, count: int | None) -> int:
    """Print the frames of a bus on other hosts, through the link at ADDRESS.

    It needs neither Docker nor CAN in the kernel, so it runs on macOS and Windows too. The format
    is candump's log format, with the sender's host in place of the interface. Programs use
    python-can: can.Bus(interface="evercan", channel=BUS, connect=ADDRESS).
    """
    from evercan.cli.commands import link_join as command

    return command.join(bus, address, certs, count=count)
