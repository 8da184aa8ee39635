"""Draw the frames of a bus as they pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from textwrap import wrap

from rich.text import Text

from evercan.cli.pages.terminal import end_of, one_line
from evercan.cli.views.decoding import Decoded
from evercan.cli.views.error_frame import error_words
from evercan.cli.views.frame import Frame
from evercan.cli.views.traffic import SentFrame

_NAME = 14
"""Columns of a sender's name, at most."""

_BETWEEN = "  "
_ID = 8


def dump_lines(
    frames: Sequence[SentFrame], decode: Callable[[Frame], Decoded | None], width: int
) -> list[Text]:
    """Draw frames, oldest first: a line for each, and further ones for a meaning that is too long.

    Args:
        frames: the frames.
        decode: returns what a frame means.
        width: columns.
    """
    name = min(_NAME, max((len(frame.sender) for frame in frames), default=0))
    lines: list[Text] = []
    for sent in frames:
        content = sent.frame.content
        line = Text().append(_clock(sent.frame.stamp), "dim")
        line.append(f" {end_of(sent.sender, name).ljust(name)}", "cyan")
        line.append(f" {sent.frame.text.partition('#')[0].rjust(_ID)}", "bold")
        line.append_text(_payload(content))
        meaning, style = str(decode(content) or ""), "green"
        if content.error:
            meaning, style = error_words(content), "yellow"
        if line.cell_len + len(_BETWEEN) + len(meaning) <= width:
            lines.append(line.append(f"{_BETWEEN}{meaning}" if meaning else "", style))
            continue
        lines.append(one_line(line, width))
        lines += (Text(f"{_BETWEEN}{part}", style) for part in wrap(meaning, width - len(_BETWEEN)))
    return lines


def _clock(stamp: int) -> str:
    seconds, micro = divmod(stamp, 1_000_000)
    # In the time zone of whoever looks.
    return f"{datetime.fromtimestamp(seconds).astimezone():%H:%M:%S}.{micro // 1000:03}"


def _payload(content: Frame) -> Text:
    if content.error:
        return Text("  error frame", style="yellow")
    if content.remote:
        return Text(f" {content.length:>3}  remote request", style="dim")
    return Text(f" {content.length:>3}  {content.data.hex(' ').upper()}")
