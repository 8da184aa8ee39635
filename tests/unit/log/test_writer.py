"""Log lines are written for people or machines, and never delay the daemon."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from evercan.log import writer
from evercan.log.writer import JsonFormatter, QueueingHandler, TextFormatter, about, call_id
from tests.support.engine import engine_id

ENDPOINT = engine_id("dashboard")


def a_record(
    level: int = logging.INFO, message: str = "hello %s", **fields: object
) -> logging.LogRecord:
    extra = {**about(**fields), "call": call_id.get()}
    return logging.getLogger("evercan.test").makeRecord(
        "evercan.test", level, __file__, 1, message, ("bus",), None, extra=extra
    )


def test_a_text_line_has_level_message_and_fields() -> None:
    line = TextFormatter().format(a_record(endpoint=ENDPOINT, interface="vcan0"))
    assert line == f"INFO    hello bus endpoint={ENDPOINT[:12]} interface=vcan0"


def test_a_json_line_has_full_ids() -> None:
    document = orjson.loads(JsonFormatter().format(a_record(endpoint=ENDPOINT)))
    assert document["message"] == "hello bus"
    assert document["level"] == "info"
    assert document["logger"] == "evercan.test"
    assert document["endpoint"] == ENDPOINT
    assert abs(document["time"] - time.time()) < 60


def test_a_json_line_is_one_line_whatever_it_contains() -> None:
    nasty = a_record(message='%s\n"\\\x00\u2028', odd={1, 2}, path=object())
    assert JsonFormatter().format(nasty).count("\n") == 0


FORGED = "x\nERROR   Health check FAILED: can0 is gone\x1b[2J"
NOT_UTF8 = b"b\xfcs".decode(errors="surrogateescape")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize("name", [FORGED, NOT_UTF8, "\ud800\u202e"])
def test_a_name_neither_forges_a_line_nor_loses_one(
    formatter: logging.Formatter, name: str
) -> None:
    line = formatter.format(a_record(message=f"%s {name}", interface=name))
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_forges_no_line(formatter: logging.Formatter) -> None:
    record = a_record()
    record.exc_info = (ValueError, ValueError(FORGED), None)
    line = formatter.format(record)
    assert "\nERROR" not in line
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_names_the_call_that_caused_it(formatter: logging.Formatter) -> None:
    token = call_id.set("Join-7")
    try:
        assert "Join-7" in formatter.format(a_record())
    finally:
        call_id.reset(token)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_is_written(formatter: logging.Formatter) -> None:
    record = a_record()
    record.exc_info = (ValueError, ValueError("a bug"), None)
    assert "a bug" in formatter.format(record)


@contextmanager
def streams() -> Iterator[tuple[int, int]]:
    """Replace stdout and stderr with pipes; yield their reading ends."""
    kept = [(number, os.dup(number)) for number in (1, 2)]
    ends = [os.pipe() for _ in kept]
    for (number, _), (_, write) in zip(kept, ends, strict=True):
        os.dup2(write, number)
        os.close(write)
    try:
        yield ends[0][0], ends[1][0]
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        for read, _ in ends:
            os.close(read)


def test_errors_go_to_stderr_and_other_lines_to_stdout_in_their_order() -> None:
    with streams() as (out, err):
        handler = QueueingHandler(TextFormatter())
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            handler.emit(a_record(level))
        handler.close()
        assert [line.split()[0] for line in os.read(out, 4096).splitlines()] == [
            b"DEBUG",
            b"INFO",
            b"WARNING",
        ]
        assert [line.split()[0] for line in os.read(err, 4096).splitlines()] == [b"ERROR"]


def test_a_full_pipe_delays_nobody_and_dropped_lines_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_CAPACITY", 50)
    with streams() as (out, _):
        handler = QueueingHandler(TextFormatter())
        long_line = a_record(message="%s" + "x" * 10_000)
        started = time.monotonic()
        for _ in range(1000):
            handler.emit(long_line)
        assert time.monotonic() - started < 2
        received = bytearray()
        reading = threading.Thread(target=read_until, args=(out, b"THE END", received))
        reading.start()
        while reading.is_alive():
            handler.emit(a_record(message="THE END of the %s"))
            reading.join(timeout=0.01)
        handler.close()
    assert b"log lines were dropped: nobody read them" in received


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_dropped_lines_are_reported_in_a_line_of_the_same_format(
    formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = os.write, [True] * 5

    def fail_at_first(descriptor: int, data: bytes) -> int:
        if failures:
            failures.pop()
            raise BlockingIOError
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail_at_first)
    with streams() as (out, _):
        handler = QueueingHandler(formatter)
        for number in range(7):
            handler.emit(a_record(message=f"{number} %s"))
        handler.close()
        lines = os.read(out, 1 << 16).decode().splitlines()
    if isinstance(formatter, JsonFormatter):
        lines = [orjson.loads(line)["message"] for line in lines]
    dropped = "5 log lines were dropped: nobody read them"
    assert [line.removeprefix("INFO    ").removeprefix("WARNING ") for line in lines] == [
        "5 bus",
        dropped,
        "6 bus",
    ]


def read_until(descriptor: int, end: bytes, received: bytearray) -> None:
    while end not in received[-4096:]:
        received += os.read(descriptor, 1 << 16)


def test_a_line_that_cannot_be_formatted_raises_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with streams():
        handler = QueueingHandler(TextFormatter())
        handler.emit(a_record(message="%d %d"))
        handler.close()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(("style", "formatter"), [("json", JsonFormatter), ("text", TextFormatter)])
def test_configure_applies_to_the_whole_process(
    root: logging.Logger, style: str, formatter: type[logging.Formatter]
) -> None:
    writer.configure("warning", style)
    (handler,) = root.handlers
    assert isinstance(handler, QueueingHandler)
    assert isinstance(handler.formatter, formatter)
    assert root.level == logging.WARNING
