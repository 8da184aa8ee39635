"""``evercan top``: show the ids of a bus, live or as one JSON document."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evercan.cli.access.databases import Databases
from evercan.cli.access.reach import Target
from evercan.cli.commands.bus_reader import BusReader
from evercan.cli.errors import INTERRUPTED, CliError
from evercan.cli.pages.terminal import print_json
from evercan.cli.pages.top_app import TopApp
from evercan.cli.views.bus_state import as_json
from evercan.cli.views.ids import IdView, sort_views
from evercan.cli.views.load import NO_BITRATES, Bitrates
from evercan.cli.views.traffic import frame_as_json

_SECONDS = 5.0
"""How long frames are counted for a JSON document."""

_TICK = 0.05


@dataclass(frozen=True)
class TopOptions:
    """What is shown, and how.

    Attributes:
        dbc: files of databases to decode frames by.
        filters: filters of CAN ids.
        senders: names of containers, or of the bus interface.
        bitrates: those to compute the load with, where there is no controller.
        sort: what ids are sorted by.
        interval: seconds from one drawing to the next.
        duration: seconds after which a JSON document is printed.
        json: print one JSON document.
    """

    dbc: Sequence[str] = ()
    filters: Sequence[str] = ()
    senders: Sequence[str] = ()
    bitrates: Bitrates = NO_BITRATES
    sort: str = "id"
    interval: float = 0.5
    duration: float | None = None
    json: bool = False


def top(target: Target, network: str, options: TopOptions) -> int:
    """Show the ids until q is pressed, or print them as JSON after some seconds.

    Raises:
        CliError: there is no terminal, no such network, or its frames cannot be read.
    """
    if not options.json and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("top needs a terminal", "'evercan top NETWORK --json' prints the same once")
    databases = Databases(options.dbc)
    reader = BusReader(target, network, options.filters, options.senders, options.bitrates)
    try:
        reader.start()
        if options.json:
            print_json(_document(reader, databases, options))
            return 0
        app = TopApp(reader, databases, options.interval, options.sort)
        app.run()
    finally:
        reader.close()
    # None: a SIGINT has ended it before its screen was there.
    return INTERRUPTED if app.return_code is None else app.return_code


def _document(reader: BusReader, databases: Databases, options: TopOptions) -> dict[str, Any]:
    """Count frames for some seconds, and return them as a JSON document."""
    seconds = options.duration or _SECONDS
    while reader.seconds < seconds:
        _check(reader)
        time.sleep(_TICK)
    reader.finish()
    _check(reader)
    seconds = reader.seconds
    ids = sort_views(reader.views(), options.sort)
    return {
        "schema": 1,
        "network": reader.network,
        "seconds": round(seconds, 3),
        "frames": reader.frames,
        "lost": reader.lost,
        **as_json(reader.state(seconds)),
        "ids": [_id_as_json(view, databases) for view in ids],
    }


def _check(reader: BusReader) -> None:
    """Raise what ended the reading: a document with a gap would be wrong."""
    if reader.error is not None:
        raise reader.error
    if reader.broken is not None:
        raise reader.broken


def _id_as_json(view: IdView, databases: Databases) -> dict[str, Any]:
    decoded = databases.decode(view.frame)
    return {
        "sender": view.sender,
        **frame_as_json(view.frame),
        "count": view.count,
        "first": view.first / 1_000_000,
        "last": view.last / 1_000_000,
        "period": view.period and round(view.period, 6),
        "jitter": view.jitter if view.jitter is None else round(view.jitter, 6),
        "changed": sorted(view.changed),
        **({} if decoded is None else decoded.as_json()),
    }
