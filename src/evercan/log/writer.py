"""Writes log lines without ever delaying the daemon.

The engine reads a plugin's stdout and stderr through pipes, and under
live-restore nobody reads them while the engine is down: a write into a full
pipe blocks. So records go to a bounded queue and a thread writes them; what does not fit
is counted and reported later.

Normal lines and warnings go to stdout, errors to stderr. The engine reads the two
separately and may write them in another order, so a recovery, which begins with a warning,
is all on one. What a line is about (network, endpoint, interface, call) follows it as
``key=value``, or as fields in JSON.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import orjson

from evercan.errors import printable

_CAPACITY = 10_000
_ABOUT = "about"

call_id: ContextVar[str | None] = ContextVar("call_id", default=None)
"""The engine call that is being answered; goes into every line that it causes."""


def about(**fields: object) -> dict[str, Mapping[str, object]]:
    """Return the fields of a line: ``_log.info("…", extra=about(endpoint=…))``."""
    return {_ABOUT: fields}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = dict(getattr(record, _ABOUT, {}))
    call = getattr(record, "call", None)
    if call is not None:
        fields["call"] = call
    return fields


def _encodable(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _traceback(text: str) -> str:
    """Write a traceback: its lines stay, and are indented so that none looks like a log line."""
    return "\n".join(f"  {printable(line)}" for line in text.split("\n"))


class TextFormatter(logging.Formatter):
    """One line for people; the engine's journal adds the time.

    Names and values that users choose are in many lines: what is not printable is escaped
    here, so that none of them begins a line of its own or acts on a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write level, message and fields; ids have 12 digits, as in ``docker ps``."""
        parts = [f"{record.levelname:<7} {printable(record.getMessage())}"]
        for key, value in _fields(record).items():
            text = printable(str(value))
            parts.append(f"{key}={text[:12] if len(text) == 64 else text}")
        if record.exc_info:
            parts.append("\n" + _traceback(self.formatException(record.exc_info)))
        return " ".join(parts)


class JsonFormatter(logging.Formatter):
    """One JSON object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time (seconds since the epoch), level, logger, message and fields."""
        document: dict[str, Any] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
            **{key: _encodable(value) for key, value in _fields(record).items()},
        }
        if record.exc_info:
            document["traceback"] = _traceback(self.formatException(record.exc_info))
        return orjson.dumps(document, default=lambda value: printable(str(value))).decode()


class QueueingHandler(logging.Handler):
    """Hands records to a thread that writes them; drops and counts what does not fit."""

    def __init__(self, formatter: logging.Formatter) -> None:
        """Start the writing thread, which dies with the process."""
        super().__init__()
        self.setFormatter(formatter)
        self._queue: queue.Queue[tuple[int, bytes] | None] = queue.Queue(_CAPACITY)
        self._rejected = 0  # by the queue; counted in the threads that log
        self._unwritten = 0  # counted in the thread that writes
        self._reported = 0  # of both, in the thread that writes
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record; never blocks."""
        record.call = call_id.get()
        try:
            stream = 2 if record.levelno >= logging.ERROR else 1
            self._queue.put_nowait((stream, (self.format(record) + "\n").encode()))
        except queue.Full:
            self._rejected += 1
        except Exception:  # noqa: BLE001 - logging must not bring its caller down
            self.handleError(record)

    def close(self) -> None:
        """Give the thread a second to write what is queued."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self._rejected += 1
        else:
            self._thread.join(timeout=1)
        super().close()

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            stream, line = item
            dropped = self._rejected + self._unwritten - self._reported
            if dropped:
                line += self._line_of(dropped)
            try:
                while line:
                    line = line[os.write(stream, line) :]
            except OSError:
                self._unwritten += 1
            else:
                self._reported += dropped

    def _line_of(self, dropped: int) -> bytes:
        text = "%d log lines were dropped: nobody read them"
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, text, (dropped,), exc_info=None
        )
        return (self.format(record) + "\n").encode()


def configure(level: str, style: str) -> None:
    """Send the whole process's log through one queue.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
    """
    formatter = JsonFormatter() if style == "json" else TextFormatter()
    root = logging.getLogger()
    root.handlers[:] = [QueueingHandler(formatter)]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
