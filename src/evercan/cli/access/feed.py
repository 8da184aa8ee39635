"""Read overviews repeatedly, and connect again after an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from evercan.cli.access.reach import Target
from evercan.cli.access.source import OverviewSource
from evercan.cli.errors import CliError, NoAnswer, NoPlugin
from evercan.cli.views.overview import Overview, select_networks

RETRY = 2.0
"""Seconds from an error to the next try."""

CLOSE_TIMEOUT = 2.0
"""Seconds that closing may take at the end; the helper container also ends by itself."""


class Feed:
    """Reads overviews; after an error it connects again."""

    def __init__(self, target: Target, networks: Sequence[str] = ()) -> None:
        """Take the target and the names of networks, all if empty; connect at the first read."""
        self._target = target
        self._networks = networks
        self._checked = False
        self._source: OverviewSource | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self) -> list[Overview]:
        """Read the overviews.

        Raises:
            NoNetwork: the first read does not find a network that was named. Later reads leave
                out networks that have been removed.
            CliError: the read failed; the next one connects again.
        """
        with self._lock:
            try:
                return self._select(self._connected().read())
            except (NoPlugin, NoAnswer):
                raise  # the connection to the engine still works
            except BaseException:
                self._drop()
                raise

    def lines(self) -> Iterator[str]:
        """Yield the frames of the host, error frames too, as ``candump -L -x`` writes them.

        Raises:
            CliError: they cannot be read; the next call may succeed.
        """
        with self._lock:
            host = self._connected().host
        yield from host.frames(errors=True)

    def _select(self, overviews: list[Overview]) -> list[Overview]:
        if not self._networks:
            return overviews
        if self._checked:
            chosen = [overview.only(self._networks) for overview in overviews]
            return [overview for overview in chosen if overview.networks] or chosen
        chosen = select_networks(overviews, self._networks)
        self._checked = True
        return chosen

    def _connected(self) -> OverviewSource:
        if self._source is None and not self._closed:
            self._source = OverviewSource(self._target)
        if self._source is None or self._closed:
            raise CliError("the screen was closed")
        return self._source

    def close(self) -> None:
        """Close the connection, also during a read that waits for an answer."""
        self._closed = True
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT)

    def _close(self) -> None:
        if self._source is None:  # or it is being opened at this moment
            with self._lock:
                self._drop()
        else:
            self._drop()

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
