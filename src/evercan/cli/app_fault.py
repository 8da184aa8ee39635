"""Define the commands ``evercan fault …``, their options and their help."""

from __future__ import annotations

from typing import Any

import rich_click as click

from evercan.cli.options import JSON, NETWORK, NETWORKS, connection, examples, target_of

_FROM = click.option(
    "--from",
    "source",
    metavar="NAME",
    help="Frames from this member: a container, or an interface of the host.",
)
_TO = click.option("--to", metavar="NAME", help="Frames to this member.")


@click.group(
    short_help="Lose, delay or duplicate frames, to test containers.",
    epilog=examples(
        "sudo evercan fault set powertrain --loss 5%",
        "sudo evercan fault show",
        "sudo evercan fault clear",
    ),
)
def fault() -> None:
    """Set, show and clear faults: frames that a bus loses, delays, duplicates or corrupts.

    A fault is for tests. It stays set until it is cleared, its time is over, its network or a
    container that it names is removed, or the host reboots.
    """


@fault.command(
    name="set",
    short_help="Set a fault on a network's bus.",
    epilog=examples(
        "sudo evercan fault set powertrain --loss 5%",
        "sudo evercan fault set powertrain --from engine --to dashboard --delay 20ms --jitter 5ms",
        "sudo evercan fault set powertrain --to vcan0 --id 123:7FF --loss 100% --for 60s",
    ),
)
@NETWORK
@_FROM
@_TO
@click.option(
    "--id",
    "ids",
    metavar="ID:MASK",
    help="Only frames whose id equals ID in the bits of MASK (hexadecimal). More of them: "
    "separated by commas.",
)
@click.option("--loss", metavar="PERCENT", help="Lose this part of the frames: 5%.")
@click.option("--delay", metavar="TIME", help="Deliver them later: 20ms.")
@click.option(
    "--jitter",
    metavar="TIME",
    help="Vary the delay by up to so much in both directions; frames then overtake each other.",
)
@click.option("--duplicate", metavar="PERCENT", help="Deliver this part of them twice.")
@click.option("--corrupt", metavar="PERCENT", help="Invert one bit in this part of them.")
@click.option(
    "--for",
    "duration",
    metavar="TIME",
    help="End by itself: 60s, 5min, 2h.  [dim]default: never[/]",
)
@connection
def fault_set(*, network: str, **options: Any) -> int:
    """Set a fault on the bus of a network, for the frames that the options choose.

    A fault about the same frames is replaced. If several faults are about a frame, the one that
    was set last decides. --from and --to take a container or an interface of the host; without
    them it is about all members, also those that join later.
    """
    from evercan.cli.commands import fault as command

    target = target_of(options)
    source, to = options.pop("source") or "", options.pop("to") or ""
    given = {
        {"ids": "Id", "duration": "For"}.get(name, name.title()): value
        for name, value in options.items()
    }
    return command.set_fault(target, network, source, to, given)


@fault.command(
    name="show",
    short_help="Show the faults that are set.",
    epilog=examples("sudo evercan fault show", "sudo evercan fault show --json | jq '.faults[]'"),
)
@NETWORKS
@JSON
@connection
def fault_show(*, networks: tuple[str, ...], json: bool, **options: Any) -> int:
    """Show the faults of all networks, or of those that are named, and what they did to frames."""
    from evercan.cli.commands import fault as command

    return command.show(target_of(options), networks, json=json)


@fault.command(
    name="clear",
    short_help="Clear faults.",
    epilog=examples(
        "sudo evercan fault clear",
        "sudo evercan fault clear powertrain --to dashboard",
    ),
)
@NETWORKS
@_FROM
@_TO
@click.option("--id", "ids", metavar="ID:MASK", help="Only faults with exactly these ids.")
@connection
def fault_clear(
    *,
    networks: tuple[str, ...],
    source: str | None,
    to: str | None,
    ids: str | None,
    **options: Any,
) -> int:
    """Clear the faults of all networks, or of those that are named.

    Frames that still wait because of a delay are lost.
    """
    from evercan.cli.commands import fault as command

    return command.clear(target_of(options), networks, source, to, ids)
