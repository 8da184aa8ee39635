"""Define the command line of the commands that read and send frames."""

from __future__ import annotations

from typing import Any

import rich_click as click

from evercan.cli.frames_sending import SENDING
from evercan.cli.options import (
    BITRATE,
    COUNT,
    DBC,
    DBITRATE,
    DURATION,
    FILTERS,
    NETWORK,
    SENDERS,
    SIZE,
    TIME,
    connection,
    examples,
    target_of,
)
from evercan.cli.views.ids import SORTS


@click.command(
    short_help="Print frames with their senders.",
    epilog=examples(
        "evercan dump powertrain",
        "evercan dump powertrain --from dashboard --filter 100:700",
        "evercan dump powertrain --duration 60 > drive.log; log2asc -I drive.log vcan0 dashboard",
        "evercan dump powertrain --as-bus | canplayer vcan1=vcan0",
        "evercan dump powertrain --dbc car.dbc --filter 100:700",
        "evercan dump powertrain --errors --filter 20000000:20000000",
        "evercan dump powertrain --json | jq 'select(.id == 291)'",
    ),
)
@NETWORK
@DBC
@FILTERS
@SENDERS
@COUNT
@DURATION
@click.option(
    "--errors",
    is_flag=True,
    help="Print the error frames of the CAN controller too, in words, whatever --filter says.",
)
@click.option(
    "--as-bus", is_flag=True, help="Write the bus interface in place of the sender's name."
)
@click.option("--json", is_flag=True, help="Print one JSON object a line.")
@connection
def dump(*, network: str, dbc: tuple[str, ...], as_bus: bool, json: bool, **options: Any) -> int:
    """Print the frames of a bus as they pass, each once, with the container that sent it.

    The format is candump's log format, with the sender in place of the interface; can-utils and
    python-can read it. Frames from programs on the host and from the wire have the bus interface
    as their sender. On the engine's host no root is needed, only the right to use the engine.

    With --dbc, the message and its signals follow behind '::'; with --errors, what an error frame
    reports.
    """
    from evercan.cli.commands import dump as command
    from evercan.cli.commands.capture import Selection

    target = target_of(options)
    shown = command.DumpOptions(dbc, as_bus=as_bus, json=json)
    return command.dump(target, network, Selection(**options), shown)


@click.command(
    short_help="Show the ids on a bus live, and how full it is.",
    epilog=examples(
        "evercan top powertrain",
        "evercan top powertrain --dbc car.dbc --sort rate",
        "evercan top powertrain --bitrate 500000",
        "evercan top powertrain --json --duration 2 | jq '.ids[] | {id, sender, period}'",
    ),
)
@NETWORK
@DBC
@FILTERS
@SENDERS
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="id",
    show_default=True,
    help="What ids are sorted by at first.",
)
@BITRATE
@DBITRATE
@click.option(
    "-n",
    "--interval",
    type=click.FloatRange(0.1, 60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two refreshes.",
)
@click.option("--json", is_flag=True, help="Print one JSON document after --duration.")
@click.option(
    "-t",
    "--duration",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="How long frames are counted with --json.  [dim]default: 5[/]",
)
@connection
def top(
    *,
    network: str,
    filters: tuple[str, ...],
    senders: tuple[str, ...],
    bitrate: int | None,
    dbitrate: int | None,
    **options: Any,
) -> int:
    """Show a line for each id and sender on a bus: count, period, jitter and data, full screen.

    Changed bytes are marked. The lines at the top have the controller's state, the load of the
    bus, its error counters and its last error. Press q to quit and ? for the keys.
    """
    from evercan.cli.commands import top as command
    from evercan.cli.views.load import Bitrates

    if options["duration"] and not options["json"]:
        raise click.UsageError("--duration needs --json; without it, press q to quit")
    if dbitrate and not bitrate:
        raise click.UsageError("--dbitrate needs --bitrate")
    target = target_of(options)
    bitrates = Bitrates(bitrate or 0, dbitrate or 0)
    shown = command.TopOptions(filters=filters, senders=senders, bitrates=bitrates, **options)
    return command.top(target, network, shown)


@click.command(
    short_help="Record frames to a file.",
    epilog=examples(
        "evercan record powertrain -o drive.blf",
        "evercan record powertrain -o drive.mf4 --duration 60 --from dashboard",
        "evercan record powertrain -o night.asc --rotate-time 1h --rotate-size 500M",
    ),
)
@NETWORK
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="The file; its ending selects the format: .asc, .blf, .mf4, .log, .trc or .csv.",
)
@click.option(
    "--rotate-size",
    type=SIZE,
    metavar="SIZE",
    help="Begin the next file, FILE-0002, after this size: 500M, 1G.",
)
@click.option(
    "--rotate-time",
    type=TIME,
    metavar="TIME",
    help="Begin the next file, FILE-0002, after this time: 90s, 10m, 1h.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@FILTERS
@SENDERS
@COUNT
@DURATION
@connection
def record(
    *,
    network: str,
    output: str,
    rotate_size: float | None,
    rotate_time: float | None,
    overwrite: bool,
    **options: Any,
) -> int:
    """Record the frames of a bus, each once, with the container that sent it, until Ctrl-C.

    The file is written on this machine. All formats but .log need the extra workbench. Formats with
    channels have one for each sender, which are listed at the end.

    Exit status: 0 every frame is recorded; 1 frames were lost.
    """
    from evercan.cli.commands import record as command
    from evercan.cli.commands.capture import Selection

    target = target_of(options)
    size = None if rotate_size is None else int(rotate_size)
    files = command.RecordOptions(output, size, rotate_time, overwrite)
    return command.record(target, network, Selection(**options), files)


COMMANDS = (dump, top, record, *SENDING)
"""These commands, in the order of their use."""
