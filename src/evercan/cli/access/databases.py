"""Read databases of CAN messages (DBC, ARXML, KCD, SYM), and decode frames by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from evercan.cli.access.database_files import read_messages
from evercan.cli.errors import CliError
from evercan.cli.views.decoding import Decoded, SignalValue
from evercan.cli.views.frame import Frame

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

_CLASSIC_LENGTH = 8
_DESTINATION_SPECIFIC = 240
"""J1939: below this PDU format, the next byte of the id is an address, not part of the PGN."""

_NAMED = 8
"""How many messages are named to somebody who has named none of them."""


class Databases:
    """The messages of all databases that a command line names."""

    def __init__(self, files: Sequence[str]) -> None:
        """Read the files. If several have a message of the same id, the first file is used.

        Raises:
            CliError: the extra is missing, or a file cannot be read.
        """
        self._messages: dict[tuple[int, bool], Message] = {}
        self._groups: dict[int, Message] = {}
        self._by_name: dict[str, Message] = {}
        for file in files:
            for message in read_messages(file):
                self._by_name.setdefault(message.name, message)
                self._messages.setdefault((message.frame_id, message.is_extended_frame), message)
                if message.protocol == "j1939":
                    self._groups.setdefault(_group(message.frame_id), message)

    def __bool__(self) -> bool:
        """Whether there is any message."""
        return bool(self._messages)

    def decode(self, frame: Frame) -> Decoded | None:
        """Return what a frame means; None if it is in no database."""
        message = None if frame.remote else self._message(frame)
        return None if message is None else decode(message, frame.data)

    def name_of(self, frame: Frame) -> str:
        """Return the name of a frame's message; empty if it is in no database."""
        message = self._message(frame)
        return "" if message is None else str(message.name)

    def in_parts(self, frame: Frame) -> bool:
        """Whether a frame has only some of its message's signals, and others have the rest."""
        message = self._message(frame)
        return message is not None and bool(message.is_multiplexed() or message.is_container)

    def _message(self, frame: Frame) -> Message | None:
        if frame.error:
            return None
        message = self._messages.get((frame.can_id, frame.extended))
        if message is None and frame.extended:
            # J1939 messages are the same from every source and with every priority.
            message = self._groups.get(_group(frame.can_id))
        return message

    def has_signal(self, message: str, signal: str) -> bool:
        """Whether a message has a signal."""
        found = self._by_name.get(message)
        return found is not None and any(one.name == signal for one in found.signals)

    def _others(self, name: str) -> str:
        """Return which messages somebody may have meant."""
        if not self._by_name:
            return "name a database: --dbc FILE"
        if similar := get_close_matches(name, self._by_name, 3):
            return f"similar ones: {', '.join(similar)}"
        some = sorted(self._by_name)[:_NAMED]
        return f"messages: {', '.join(some)}{', …' if len(some) < len(self._by_name) else ''}"

    def encode(self, name: str, given: Mapping[str, str]) -> Frame:
        """Return the frame of a message with these values.

        The multiplexers of multiplexed signals are set to match. Other signals have the initial
        value of the database, else 0 or what is nearest to it.

        Args:
            name: the message.
            given: numbers, or names of values, by signal.

        Raises:
            CliError: there is no such message, signal or value.
        """
        message = self._by_name.get(name)
        if message is None:
            raise CliError(f'no message "{name}" in the databases of --dbc', self._others(name))
        try:
            data = message.encode(_values(message, given), strict=False)
        except CliError:
            raise
        except Exception as error:  # the library raises whatever a value leads to
            raise CliError(f"cannot encode {name}: {error}", "give other values") from error
        return Frame(
            message.frame_id,
            data,
            extended=message.is_extended_frame,
            fd=message.is_fd or len(data) > _CLASSIC_LENGTH,
            length=len(data),
        )


def _values(message: Message, given: Mapping[str, str]) -> dict[str, Any]:
    """Return a value for each signal of a message."""
    signals = {signal.name: signal for signal in message.signals}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in signals:
            raise CliError(
                f'{message.name} has no signal "{name}"', f"signals: {', '.join(signals)}"
            )
        values[name] = _value(signals[name], text)
    for name in given:
        signal = signals[name]
        while signal.multiplexer_signal is not None and signal.multiplexer_ids:
            parent = signals[signal.multiplexer_signal]
            chosen = values.setdefault(parent.name, signal.multiplexer_ids[0])
            if _raw(parent, chosen) not in signal.multiplexer_ids:
                pages = ", ".join(map(str, signal.multiplexer_ids))
                raise CliError(
                    f"{message.name} has {signal.name} only with {parent.name}={pages}",
                    f"leave out {parent.name}",
                )
            signal = parent
    return {name: _default(signal, message) for name, signal in signals.items()} | values


def _value(signal: Signal, text: str) -> float | str:
    """Parse a value, and check its range."""
    choices = {str(choice): number for number, choice in (signal.choices or {}).items()}
    if text in choices:
        return text
    try:
        value = float(text) if set(text) & set(".eE") and "x" not in text else int(text, 0)
    except ValueError as error:
        names = f"; values: {', '.join(choices)}" if choices else ""
        raise CliError(
            f"{signal.name}={text} is not a number", f"write {signal.name}=1.5 or 0x1F{names}"
        ) from error
    low, high = signal.minimum, signal.maximum
    if low is not None and high is not None and low < high and not low <= value <= high:
        unit = f" {signal.unit}" if signal.unit else ""
        raise CliError(
            f"{signal.name}={text} is out of range", f"the database has {low} to {high}{unit}"
        )
    return value


def _raw(signal: Signal, value: float | str) -> int | float:
    return signal.conversion.scaled_to_raw(
        signal.choice_to_number(value) if isinstance(value, str) else value
    )


def _default(signal: Signal, message: Message) -> Any:
    if signal.is_multiplexer:
        pages = {
            page
            for other in message.signals
            if other.multiplexer_signal == signal.name
            for page in other.multiplexer_ids or ()
        }
        return 0 if 0 in pages else min(pages, default=0)
    if signal.initial is not None:
        return signal.initial
    value = max(0, signal.minimum or 0)
    return min(value, signal.maximum) if signal.maximum else value


def decode(message: Message, data: bytes) -> Decoded:
    """Decode a payload; what it is too short for, and what cannot be decoded, is left out."""
    try:
        if message.is_container:
            return Decoded(message.name, tuple(_contained(message, data)))
    except Exception as error:  # noqa: BLE001 - the library raises what a payload leads to
        return Decoded(message.name, error=f"cannot be decoded: {error}")
    values, errors = _values_in(_parts(message), data)
    if errors and message.is_multiplexed():
        values, _ = _values_in(_not_multiplexed(message), data)
    if len(data) < message.length:
        errors.append(f"{len(data)} of {message.length} bytes")
    return Decoded(message.name, tuple(_signals(message, values)), "; ".join(errors))


def _values_in(parts: tuple[Message, ...], data: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the values of signals by name, and why there are no others."""
    values: dict[str, Any] = {}
    errors = []
    for part in parts:
        try:
            values |= part.decode_simple(data, allow_truncated=True)
        except Exception as error:  # noqa: BLE001 - the library raises what a payload leads to
            name = f"{part.signals[0].name} " if len(parts) > 1 else ""
            errors.append(f"{name}cannot be decoded: {error}")
    return values, errors


@cache
def _parts(message: Message) -> tuple[Message, ...]:
    """Return the message, or one of each signal if the signals overlap or are outside of it.

    Databases in use have such messages, and the library decodes only those without.
    """
    from cantools.database.errors import Error  # noqa: PLC0415 - it belongs to an extra

    try:
        message.refresh(strict=True)
    except Error:
        if not message.is_multiplexed():
            return tuple(_alone(message, signal) for signal in message.signals)
    return (message,)


@cache
def _not_multiplexed(message: Message) -> tuple[Message, ...]:
    """Return one message of each signal that is in every frame, for a page of no database."""
    parts = []
    for signal in message.signals:
        if not signal.multiplexer_ids:
            always = copy(signal)
            always.is_multiplexer = False
            parts.append(_alone(message, always))
    return tuple(parts)


def _alone(message: Message, signal: Signal) -> Message:
    return type(message)(
        message.frame_id,
        message.name,
        message.length,
        [signal],
        is_extended_frame=message.is_extended_frame,
        strict=False,
    )


def _contained(message: Message, data: bytes) -> Iterator[SignalValue]:
    """Yield the signals of the messages in a container frame."""
    for contained, values in message.decode_container(data, allow_truncated=True):
        if isinstance(contained, int):
            yield SignalValue(f"{contained:X}", bytes(values).hex().upper())  # type: ignore[arg-type] # an unknown one
        elif isinstance(values, Mapping):
            yield from _signals(contained, values, f"{contained.name}.")
        else:
            yield SignalValue(contained.name, bytes(values).hex().upper())


def _signals(
    message: Message, values: Mapping[str, Any], prefix: str = ""
) -> Iterator[SignalValue]:
    for signal in message.signals:
        if signal.name not in values:
            continue
        value = values[signal.name]
        choice = getattr(value, "name", "")
        yield SignalValue(
            prefix + signal.name, value.value if choice else value, signal.unit or "", choice
        )


def _group(can_id: int) -> int:
    """Return the parameter group number of a J1939 id."""
    group = can_id >> 8 & 0x3FFFF
    return group & 0x3FF00 if group >> 8 & 0xFF < _DESTINATION_SPECIFIC else group
