"""Read the frames that a command line asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evercan.cli.access.databases import Databases
from evercan.cli.errors import CliError
from evercan.cli.views.frame import Frame, parse_input


@dataclass
class WantedFrame:
    """A frame on the command line.

    Attributes:
        text: the frame, or the name of a message.
        values: values of the message's signals.
    """

    text: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def is_message(self) -> bool:
        """Whether it is a message of a database."""
        return "#" not in self.text

    def frame(self, databases: Databases, values: Mapping[str, str] | None = None) -> Frame:
        """Return the frame, with further values of its signals.

        Raises:
            CliError: it is no frame, or the databases do not have it.
        """
        if self.is_message:
            return databases.encode(self.text, self.values | dict(values or {}))
        return parse_input(self.text)


def wanted_frames(words: Sequence[str]) -> list[WantedFrame]:
    """Read frames, and messages with the values that follow them.

    Raises:
        CliError: a value follows no message.
    """
    found: list[WantedFrame] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            found.append(WantedFrame(word))
        elif found and found[-1].is_message:
            found[-1].values[name] = value
        else:
            raise CliError(
                f"{word} follows no message",
                "write the message first: --dbc FILE EngineData EngineSpeed=900",
            )
    return found
