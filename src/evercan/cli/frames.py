"""Define the command line of the commands that read and send frames."""

from __future__ import annotations

from typing import Any

import rich_click as click

from evercan.cli.options import (
    BITRATE,
    COUNT,
    DBC,
    DBC_TO_SEND,
    DBITRATE,
    DURATION,
    FILTERS,
    FRAMES,
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


@click.command(
    short_help="Send the frames of a recording.",
    epilog=examples(
        "evercan play drive.blf powertrain",
        "evercan play drive.blf powertrain --speed 2 --loop 0",
        "evercan play drive.log powertrain --from dashboard --filter 100:700",
        "evercan play drive.mf4 powertrain --containers",
    ),
)
@click.argument("file", type=click.Path())
@NETWORK
@click.option(
    "--speed",
    type=click.FloatRange(0.001, 1000),
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="2 is twice as fast as the recording.",
)
@click.option(
    "--loop",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    metavar="N",
    help="Play it N times; 0: until Ctrl-C.",
)
@FILTERS
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="NAME",
    help="Only frames of this sender in the recording. Repeat it for more senders.",
)
@click.option(
    "--containers",
    is_flag=True,
    help="Send the frames of each sender from a container of its own, play-NAME, which ends with "
    "this command.",
)
@connection
def play(*, file: str, network: str, **options: Any) -> int:
    """Send the frames of a recording on a bus at their times.

    They come from the bus's interface on the host, or with --containers from a container for each
    sender; those of the bus interface itself and of no sender come from the host then too.

    The file's ending names its format: .asc, .blf, .mf4, .log, .trc or .csv. All but .log need
    the extra workbench. At the end it says how punctual the frames were.
    """
    from evercan.cli.commands import play as command

    target = target_of(options)
    return command.play(target, file, network, command.PlayOptions(**options))


@click.command(
    short_help="Send frames.",
    epilog=examples(
        "evercan send powertrain 123#C0FFEE",
        "evercan send powertrain 18FEF100##1AABB 123#R4",
        "evercan send powertrain --dbc car.dbc EngineData EngineSpeed=900 Gear=Reverse",
    ),
)
@NETWORK
@FRAMES
@DBC_TO_SEND
@connection
def send(*, network: str, frames: tuple[str, ...], dbc: tuple[str, ...], **options: Any) -> int:
    """Send frames on a bus, each once, from its interface on the host.

    FRAME is ID#DATA as for cansend (ID##FLAGSDATA: CAN FD; ID#R: remote), or with --dbc the name of
    a message and values for its signals: numbers, or names that the database has for them.
    """
    from evercan.cli.commands import send as command

    if not frames:
        raise click.UsageError("name at least one FRAME, such as 123#C0FFEE")
    return command.send(target_of(options), network, frames, dbc)


@click.command(
    short_help="Send frames cyclically, with ramps, or at random.",
    epilog=examples(
        "evercan generate powertrain 123#C0FFEE 456#01 --period 0.02",
        "evercan generate powertrain 123#0000 --ramp 1=0..255 --over 5",
        "evercan generate powertrain --dbc car.dbc EngineData --ramp EngineSpeed=800..3000",
        "evercan generate powertrain --fuzz --seed 7 --ids 100-1FF --count 1000",
    ),
)
@NETWORK
@FRAMES
@DBC_TO_SEND
@click.option(
    "--period",
    type=click.FloatRange(0.0001, 3600),
    default=0.1,
    show_default=True,
    metavar="SECONDS",
    help="Seconds from one round of the frames to the next.",
)
@click.option(
    "--ramp",
    "ramps",
    multiple=True,
    metavar="NAME=FROM..TO",
    help="A signal, or a byte by its number from 0, that runs from one value to the other, again "
    "and again. Repeat it for more.",
)
@click.option(
    "--over",
    type=click.FloatRange(0.001),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds that a ramp takes.",
)
@click.option("--fuzz", is_flag=True, help="Send random frames, one in each period.")
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="The same seed gives the same frames."
)
@click.option("--ids", metavar="FROM-TO", help="Ids of random frames.  [dim]default: 000-7FF[/]")
@click.option("--fd", is_flag=True, help="Random frames are CAN FD.")
@COUNT
@DURATION
@connection
def generate(*, network: str, frames: tuple[str, ...], **options: Any) -> int:
    """Send frames again and again, from the bus's interface on the host, until Ctrl-C.

    FRAME is what 'evercan send' takes. At the end it says how punctual the frames were.
    """
    from evercan.cli.commands import generate as command

    target = target_of(options)
    return command.generate(target, network, frames, command.GenerateOptions(**options))


COMMANDS = (dump, top, record, play, send, generate)
"""These commands, in the order of their use."""
