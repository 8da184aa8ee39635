"""Read the files of message databases, and find the line that an error is about."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element
from xml.parsers import expat

from evercan.cli.access.extra import workbench
from evercan.cli.errors import CliError

if TYPE_CHECKING:
    from cantools.database.can import Message

_XML = {"arxml", "kcd"}
_DECLARED = re.compile(rb"<\?xml[^>]*\bencoding=[\"']([\w.-]+)")
_NAMED = re.compile("'([^']+)'")
_NEXT = {"dbc": "\nBS_:\n", "sym": "\n{SEND}\n"}
"""An entry without content, by ending: the library ignores an incomplete one at the end of a file,
which a broken copy has, but not before another entry."""

_SHOWN = 100
"""How many characters of a line are shown."""


def read_messages(file: str) -> list[Message]:
    """Return the messages of a database.

    Raises:
        CliError: the extra is missing, or the file cannot be read.
    """
    with workbench("--dbc"):
        import cantools.database  # noqa: PLC0415 - it belongs to an extra
        from cantools.database.can import Database  # noqa: PLC0415 - the same
    ending = Path(file).suffix[1:].lower()
    try:
        text = _text(Path(file).read_bytes(), ending)
    except OSError as error:
        raise CliError(
            f"cannot read --dbc {file} ({error.strerror})", "name another file"
        ) from error
    try:
        # Strict reading rejects a whole file for one message whose signals overlap.
        following = _NEXT.get(ending, "") if text.strip() else ""
        found = cantools.database.load_string(text + following, ending, strict=False)
    except Exception as error:  # the library raises whatever a broken file leads to
        raise CliError(
            f"--dbc {file} is not a database of CAN messages: {_reason(error, text)}",
            "correct it; DBC, ARXML, KCD and SYM files are read, by their endings",
        ) from error
    if not isinstance(found, Database):
        raise CliError(
            f"--dbc {file} describes diagnostics and no CAN messages", "name another file"
        )
    if not found.messages:
        raise CliError(f"--dbc {file} has no messages", "name another file")
    return found.messages


def _text(data: bytes, ending: str) -> str:
    """Decode a file's content.

    DBC and SYM files do not say how they are encoded. Older programs write them in Windows'
    code page, others in UTF-8; text of the former is hardly ever valid UTF-8.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8))
    if declared and ending in _XML:
        try:
            return data.decode(declared[1].decode())
        except (LookupError, ValueError):
            pass  # what it declares is not so
    try:
        return data.decode("utf-8-sig")
    except ValueError:
        return data.decode("utf-8" if ending in _XML else "cp1252", errors="replace")


def _reason(error: Exception, text: str) -> str:
    """Return why a file cannot be read, with the line."""
    # The library collects the reasons of all formats that it has tried, here one.
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    reason = " ".join(str(cause).split())
    if isinstance(cause, KeyError):
        reason = f"{reason} is missing"
    lines = text.rstrip().split("\n")
    if said := re.search(r"\bline (\d+)", reason):
        if int(said[1]) <= len(lines):
            return reason
        return f"its last entry is incomplete; line {len(lines)}: {lines[-1].strip()[:_SHOWN]}"
    number = _line(cause, text)
    if number is None or number > len(lines):
        return reason
    return f"{reason}; line {number}: {lines[number - 1].strip()[:_SHOWN]}"


def _line(error: Exception, text: str) -> int | None:
    """Return the number of the line that an error without one is about; None if it is unknown."""
    frames = [traceback.tb_frame for traceback in _tracebacks(error)]
    variables = [value for frame in frames for value in frame.f_locals.values()]
    root = next((value for value in variables if isinstance(value, Element)), None)
    if root is None:
        return _line_of_name(str(error), text)
    order = {id(element): number for number, element in enumerate(root.iter())}
    worked_on = next(found for found in map(_element, reversed(frames)) if found is not None)
    named = _NAMED.search(str(error))
    for element in worked_on.iter():
        if named and named[1] in (element.text, *element.attrib.values()):
            worked_on = element
            break
    number = order.get(id(worked_on))
    return None if number is None else _lines_of_elements(text)[number]


def _tracebacks(error: Exception) -> Iterator[TracebackType]:
    """Yield what an error went through, the place that raised it last."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _element(frame: FrameType) -> Element | None:
    """Return the XML element that a function of the library works on."""
    variables = list(frame.f_locals.values())
    # A function's arguments are its first variables. Others may be left from a loop.
    for found in (variables[: frame.f_code.co_argcount], variables):
        elements = [value for value in found if isinstance(value, Element)]
        if elements:
            return elements[-1]
    return None


def _lines_of_elements(text: str) -> list[int]:
    """Return the line of each XML element, in the order of the document."""
    lines: list[int] = []
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = lambda *_: lines.append(parser.CurrentLineNumber)
    parser.Parse(text.encode(), True)
    return lines


def _line_of_name(reason: str, text: str) -> int | None:
    """Return the first line with what an error names."""
    in_message = re.search(r"\bsignal (\w+)\b.* in message (\w+)", reason)
    if in_message:
        signal, message = in_message.groups()
        pattern = rf"^BO_ \d+ {message}\b(?:(?!^BO_ ).)*?(?P<here>^\s*SG_ {signal}\b)"
    elif entry := re.search(r"entries in DBC:\s+(\w+) (\d+) (\w+)", reason):
        pattern = rf"(?P<here>^{entry[1]}\s+{entry[2]}\s+{entry[3]}\b)"
    elif name := _NAMED.search(reason):
        pattern = rf"(?P<here>(?<!\w){re.escape(name[1])}(?!\w))"
    elif "SYM version" in reason:
        pattern = "(?P<here>^FormatVersion)"
    else:
        return None
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return text.count("\n", 0, found.start("here")) + 1 if found else None
