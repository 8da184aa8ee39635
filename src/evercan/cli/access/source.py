"""Where overviews come from: an engine, its evercan, and the way to its host."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from evercan.cli.access.engine import Engine, Plugin
from evercan.cli.access.host import Host
from evercan.cli.access.plugin import PluginSocket
from evercan.cli.access.reach import Wish, choose, host_of, socket_of
from evercan.cli.views.overview import Overview, overview


class Source:
    """Asks again and again. What breaks is for the caller to close and to open anew."""

    def __init__(self, wish: Wish) -> None:
        """Connect.

        Raises:
            CliError: there is no engine, no enabled evercan, or no way to its host.
        """
        with ExitStack() as stack:
            self._wish = wish
            self.engine = Engine(wish.engine)
            stack.callback(self.engine.close)
            self._plugins = choose(self.engine.plugins(), wish.plugin)
            self.host: Host = stack.enter_context(host_of(self.engine, wish))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Nothing is left to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Clear away what led to the host."""
        self._stack.close()

    def look(self) -> list[Overview]:
        """Ask the engine and each evercan on it.

        Raises:
            CliError: one of them cannot be asked.
        """
        self._plugins = choose(self.engine.plugins(), self._wish.plugin)
        return [self._one(each) for each in self._plugins]

    def _one(self, plugin: Plugin) -> Overview:
        return side_by_side(self.engine, plugin, socket_of(plugin, self.host, self._wish))


def side_by_side(engine: Engine, plugin: Plugin, asked: PluginSocket) -> Overview:
    """Ask plugin and engine.

    What the engine alone knows may have begun between the two answers: it is believed
    when they are asked a second time.

    Raises:
        CliError: one of them cannot be asked.
    """

    def once() -> Overview:
        status = asked.get("/status")
        return overview(plugin.name, engine.networks(plugin.name), status)

    seen = once()
    return seen if seen.agrees else once()


def look(wish: Wish) -> list[Overview]:
    """Look once.

    Raises:
        CliError: the engine or a plugin cannot be asked.
    """
    with Source(wish) as source:
        return source.look()
