"""``evercan generate``: send frames again and again."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count, islice, takewhile

from evercan.cli.access.databases import Databases
from evercan.cli.access.reach import Target
from evercan.cli.access.sending import Sent, Timed, send
from evercan.cli.access.wiring import open_bus
from evercan.cli.commands.wanted_frames import WantedFrame, wanted_frames
from evercan.cli.errors import CliError
from evercan.cli.pages.progress import progress
from evercan.cli.views.frame import FD_LENGTHS, ID_BITS, SWITCH, Frame
from evercan.cli.views.words import sent_words

_MICRO = 1_000_000
_SHORT = 0x7FF
_RAMP = re.compile(r"(?P<name>[^=]+)=(?P<low>[^=]+?)\.\.(?P<high>[^=]+)")
_IDS = re.compile(r"([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})-([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})", re.ASCII)


@dataclass(frozen=True)
class GenerateOptions:
    """What is sent, and how often.

    Attributes:
        dbc: files of databases.
        period: seconds from one round of all frames to the next; of fuzzing, to the next frame.
        ramps: ``NAME=FROM..TO`` for signals, or for bytes by their number.
        over: seconds that a ramp takes.
        fuzz: send random frames.
        seed: what the random frames follow from.
        ids: ``FROM-TO``, the ids of random frames.
        fd: random frames are CAN FD.
        count: frames; None for no limit.
        duration: seconds; None for no limit.
    """

    dbc: Sequence[str] = ()
    period: float = 0.1
    ramps: Sequence[str] = ()
    over: float = 10.0
    fuzz: bool = False
    seed: int | None = None
    ids: str | None = None
    fd: bool = False
    count: int | None = None
    duration: float | None = None


@dataclass(frozen=True)
class Ramp:
    """A value that rises or falls evenly from one number to another, again and again.

    Attributes:
        name: the signal, or the byte's number.
        low: the first value.
        high: the last one.
    """

    name: str
    low: float
    high: float

    def at(self, step: int, steps: int) -> float:
        """Return the value of a step; the ramp has ``steps`` of them, and at least two."""
        return self.low + (self.high - self.low) * (step % steps) / (steps - 1)


def generate(target: Target, network: str, words: Sequence[str], options: GenerateOptions) -> int:
    """Send until a limit is reached, or until Ctrl-C; then report what was sent.

    Raises:
        CliError: there is no such network, an option is not valid, or a frame cannot be sent.
    """
    schedule = limited(_schedule(words, options), options.count, options.duration)
    sent = Sent()

    def note(now: Sent) -> None:
        nonlocal sent
        sent = now
        show(f"{now.frames} frames sent")

    # Ctrl-C is how a person ends it.
    with open_bus(target, network) as bus, progress() as show, suppress(KeyboardInterrupt):
        sent = send(bus.host, bus.wiring.bus, schedule, note)
    print(sent_words(sent.frames, sent.late, sent.worst), file=sys.stderr)
    return 0


def limited(
    schedule: Iterator[Timed], number: int | None, duration: float | None
) -> Iterator[Timed]:
    """End a schedule after a number of frames, and after seconds."""
    if duration is not None:
        schedule = takewhile(lambda timed: timed[0] < duration * _MICRO, schedule)
    return islice(schedule, number)


def _schedule(words: Sequence[str], options: GenerateOptions) -> Iterator[Timed]:
    """Check the options together, and return what is to be sent."""
    if options.fuzz:
        if words or options.ramps:
            raise CliError("--fuzz sends random frames only", "leave out frames and --ramp")
        return _random(options)
    for value, name in ((options.seed, "--seed"), (options.ids, "--ids"), (options.fd, "--fd")):
        if value not in (None, False):
            raise CliError(f"{name} is for random frames", "add --fuzz, or leave it out")
    if not words:
        raise CliError("there is nothing to send", "name frames (123#C0FFEE), or use --fuzz")
    return _named(words, options)


def _random(options: GenerateOptions) -> Iterator[Timed]:
    ids = parse_ids(options.ids or "000-7FF")
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"the frames follow from --seed {seed}", file=sys.stderr)
    return fuzz(seed, ids, options.period, fd=options.fd)


def _named(words: Sequence[str], options: GenerateOptions) -> Iterator[Timed]:
    databases = Databases(options.dbc)
    frames = wanted_frames(words)
    ramps = [parse_ramp(text) for text in options.ramps]
    steps = max(2, round(options.over / options.period))
    makers = [_maker(wanted, ramps, databases, steps) for wanted in frames]
    for ramp in ramps:
        if not any(_has(wanted, ramp, databases) for wanted in frames):
            raise CliError(
                f"--ramp {ramp.name} is in none of the frames",
                "name a signal of a message, or the number of a byte, from 0",
            )
    for make in makers:
        for step in (0, steps - 1):
            make(step)  # reports a value out of range before anything is sent
    return cyclic(makers, options.period)


def cyclic(makers: Sequence[Callable[[int], Frame]], period: float) -> Iterator[Timed]:
    """Yield the frames of all makers in each period."""
    for step in count():
        for make in makers:
            yield round(step * period * _MICRO), make(step)


def fuzz(seed: int, ids: tuple[int, int, bool], period: float, *, fd: bool) -> Iterator[Timed]:
    """Yield random frames; the same ones for the same arguments."""
    low, high, extended = ids
    chance = random.Random(seed)  # noqa: S311 - it must be repeatable, not secret
    for step in count():
        length = chance.choice(FD_LENGTHS) if fd else chance.randrange(9)
        frame = Frame(
            chance.randint(low, high),
            chance.randbytes(length),
            extended=extended,
            fd=fd,
            flags=chance.choice((0, SWITCH)) if fd else 0,
            length=length,
        )
        yield round(step * period * _MICRO), frame


def parse_ids(text: str) -> tuple[int, int, bool]:
    """Parse ``FROM-TO``: with three digits ids of 11 bits, with eight of 29 bits.

    Raises:
        CliError: it is none of these.
    """
    found = _IDS.fullmatch(text)
    if found is not None and len(found[1]) == len(found[2]):
        low, high, extended = int(found[1], 16), int(found[2], 16), len(found[1]) == 8
        if low <= high <= (ID_BITS if extended else _SHORT):
            return low, high, extended
    raise CliError(
        f"--ids {text} is not FROM-TO",
        "write three digits for ids of 11 bits, eight for 29 bits: 100-1FF, 18FF0000-18FFFFFF",
    )


def parse_ramp(text: str) -> Ramp:
    """Parse ``NAME=FROM..TO``.

    Raises:
        CliError: it is not of this form.
    """
    found = _RAMP.fullmatch(text)
    try:
        if found is not None:
            return Ramp(found["name"], float(found["low"]), float(found["high"]))
    except ValueError:
        pass
    raise CliError(
        f"--ramp {text} is not NAME=FROM..TO", "write, for example, EngineSpeed=800..3000"
    )


def _has(wanted: WantedFrame, ramp: Ramp, databases: Databases) -> bool:
    if wanted.is_message:
        return databases.has_signal(wanted.text, ramp.name)
    return ramp.name.isdecimal() and int(ramp.name) < len(wanted.frame(databases).data)


def _maker(
    wanted: WantedFrame, ramps: Sequence[Ramp], databases: Databases, steps: int
) -> Callable[[int], Frame]:
    """Return what makes a frame of a step."""
    own = [ramp for ramp in ramps if _has(wanted, ramp, databases)]
    constant = wanted.frame(databases)
    if not own:
        return lambda _: constant
    if wanted.is_message:
        return lambda step: wanted.frame(
            databases, {ramp.name: repr(ramp.at(step, steps)) for ramp in own}
        )

    def with_bytes(step: int) -> Frame:
        data = bytearray(constant.data)
        for ramp in own:
            value = round(ramp.at(step, steps))
            if not 0 <= value <= 255:
                raise CliError(
                    f"--ramp {ramp.name} reaches {value}, which is no byte", "use 0 to 255"
                )
            data[int(ramp.name)] = value
        return replace(constant, data=bytes(data))

    return with_bytes
