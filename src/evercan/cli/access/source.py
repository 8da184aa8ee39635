"""Read overviews from an engine and its evercan plugins."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.host import HostAccess
from evercan.cli.access.links import find_links, read_health
from evercan.cli.access.plugin import PluginSocket
from evercan.cli.access.reach import Target, host_access, plugin_socket, select_plugins
from evercan.cli.views.docker import DockerPlugin
from evercan.cli.views.links import with_links
from evercan.cli.views.overview import Overview
from evercan.cli.views.status_document import parse_status

LINKS_SECONDS = 5.0
"""For how long the answers of links hold: each costs a program that is started in its container.

An engine elsewhere offers no cheaper way: the addresses of containers are reached on its host only.
"""


class OverviewSource:
    """Reads overviews repeatedly. After an error the caller closes it and opens another."""

    def __init__(self, target: Target) -> None:
        """Connect.

        Raises:
            CliError: there is no engine, no enabled evercan, or no access to its host.
        """
        with ExitStack() as stack:
            self._target = target
            self._links: dict[str, dict[str, Any] | None] = {}
            self._links_until = 0.0
            self.engine = DockerEngine(target.engine)
            stack.callback(self.engine.close)
            self._plugins = select_plugins(self.engine.plugins(), target.plugin)
            self.host: HostAccess = stack.enter_context(host_access(self.engine, target))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections and the access to the host."""
        self._stack.close()

    def read(self) -> list[Overview]:
        """Read an overview of each evercan.

        Raises:
            CliError: the engine or a plugin does not answer.
        """
        self._plugins = select_plugins(self.engine.plugins(), self._target.plugin)
        overviews = [self._read(plugin) for plugin in self._plugins]
        members = {
            member.container
            for overview in overviews
            for network in overview.networks
            for member in network.members
        }
        if time.monotonic() >= self._links_until:
            links = find_links(self.engine)
            self._links = {
                link.container: read_health(self.engine, link)
                for link in links
                if link.container in members and link.state == "running"
            }
            self._links_until = time.monotonic() + LINKS_SECONDS
        return [with_links(overview, self._links) for overview in overviews]

    def _read(self, plugin: DockerPlugin) -> Overview:
        return read_overview(self.engine, plugin, plugin_socket(plugin, self.host, self._target))


def read_overview(engine: DockerEngine, plugin: DockerPlugin, connection: PluginSocket) -> Overview:
    """Read what the plugin and the engine report.

    The two answers are not taken at the same instant. If they disagree about which
    networks and endpoints exist, both are read again.

    Raises:
        CliError: one of them does not answer.
    """

    def read() -> Overview:
        status = connection.get("/status")
        return parse_status(plugin.name, engine.networks(plugin.name), status)

    found = read()
    return found if found.agrees else read()


def read_overviews(target: Target) -> list[Overview]:
    """Connect, and read the overviews once.

    Raises:
        CliError: the engine or a plugin does not answer.
    """
    with OverviewSource(target) as source:
        return source.read()
