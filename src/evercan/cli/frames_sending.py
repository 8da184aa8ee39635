"""Define the command line of the commands that send frames."""

from __future__ import annotations

from typing import Any

import rich_click as click

from evercan.cli.options import (
    COUNT,
    DBC_TO_SEND,
    DURATION,
    FILTERS,
    FRAMES,
    NETWORK,
    connection,
    examples,
    target_of,
)


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


SENDING = (play, send, generate)
"""These commands, in the order of their use."""
