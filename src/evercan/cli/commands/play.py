"""``evercan play``: send the frames of a recording."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count as numbers

from evercan.cli.access.reach import Target
from evercan.cli.access.recordings import read_recording
from evercan.cli.access.senders import container_of, players_in_containers
from evercan.cli.access.sending import Sent, Timed, send, send_together
from evercan.cli.access.wiring import open_bus
from evercan.cli.errors import CliError
from evercan.cli.pages.progress import progress
from evercan.cli.views.recording import RecordedFrame, format_of
from evercan.cli.views.traffic import parse_filter, passes
from evercan.cli.views.words import count, sent_words

_MICRO = 1_000_000
_ALONE = _MICRO
"""Microseconds after which a recording of one moment is repeated."""


@dataclass(frozen=True)
class PlayOptions:
    """Which frames are sent, by whom, and how fast.

    Attributes:
        filters: filters of CAN ids; a frame passes if any of them lets it pass.
        senders: only frames of these senders; all if empty.
        speed: 2.0 is twice as fast as the recording.
        loop: how often it is played; 0 for no limit.
        containers: a container sends the frames of each sender.
    """

    filters: Sequence[str] = ()
    senders: Sequence[str] = ()
    speed: float = 1.0
    loop: int = 1
    containers: bool = False


def play(target: Target, file: str, network: str, options: PlayOptions) -> int:
    """Send the frames of a recording at its times; then report how punctual they were.

    Raises:
        CliError: the file cannot be read, has none of these frames, there is no such network, a
            container cannot be started, or a frame cannot be sent.
    """
    format_of(file)
    check(file, options)
    sent, begun = Sent(), time.monotonic()

    def note(now: Sent) -> None:
        nonlocal sent
        sent = now
        show(f"{count(now.frames)} frames sent, {time.monotonic() - begun:.0f} s")

    # Ctrl-C is how a person ends it.
    with open_bus(target, network) as bus, progress() as show, suppress(KeyboardInterrupt):
        interface = bus.wiring.bus
        if not options.containers:
            sent = send(bus.host, interface, _timed(file, options), note)
        else:
            show(f"reading the senders in {file}")
            senders = {recorded.sender for recorded in selected(file, options)}
            others = sorted(senders - {"", interface})
            with (
                closing(bus.host.player(interface)) as on_host,
                players_in_containers(bus.engine, network, others, target.image, show) as players,
            ):
                begun = time.monotonic()
                by_sender = {sender: container_of(sender) for sender in others}
                directed = (
                    (due, recorded.frame, by_sender.get(recorded.sender, interface))
                    for due, recorded in schedule(file, options)
                )
                sent = send_together({interface: on_host, **players}, directed, note)
    print(sent_words(sent.frames, sent.late, sent.worst), file=sys.stderr)
    return 0


def check(file: str, options: PlayOptions) -> None:
    """Check that there is a frame to send.

    Raises:
        CliError: there is none, the file cannot be read, or has no senders for containers.
    """
    if options.containers and not format_of(file).senders:
        raise CliError(
            f"{file} has no senders, for which --containers starts containers",
            "leave out --containers, or record to .blf, .asc, .mf4, .log or .trc",
        )
    if next(selected(file, options), None) is not None:
        return
    senders = sorted({recorded.sender for recorded in read_recording(file)} - {""})
    raise CliError(
        f"{file} has no frames to send"
        + (" that pass" if options.filters or options.senders else ""),
        f"senders in it: {', '.join(senders)}" if senders else "name another file",
    )


def selected(file: str, options: PlayOptions) -> Iterator[RecordedFrame]:
    """Yield the frames of a recording that are wanted."""
    filters = [parse_filter(text) for text in options.filters]
    for recorded in read_recording(file):
        if options.senders and recorded.sender not in options.senders:
            continue
        if passes(filters, recorded.frame.can_id):
            yield recorded


def schedule(file: str, options: PlayOptions) -> Iterator[tuple[int, RecordedFrame]]:
    """Yield the frames of a recording with the times to send them, as often as it is played.

    Times are in microseconds after the start. It is repeated after a pause of its frames' mean
    distance.
    """
    offset = 0
    for number in numbers(1):
        first = last = None
        frames = 0
        for recorded in selected(file, options):
            first = recorded.stamp if first is None else first
            # Times go forward, in the order of the file.
            last = max(last or 0, recorded.stamp - first)
            frames += 1
            yield offset + round(last / options.speed), recorded
        if number == options.loop or not frames:
            return
        pause = (last or 0) / (frames - 1) if frames > 1 and last else _ALONE
        offset += round(((last or 0) + pause) / options.speed)


def _timed(file: str, options: PlayOptions) -> Iterator[Timed]:
    for due, recorded in schedule(file, options):
        yield due, recorded.frame
