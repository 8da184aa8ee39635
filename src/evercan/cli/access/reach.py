"""From what a person has typed to an engine, its evercan and its host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from evercan.cli.access.engine import Engine, Plugin
from evercan.cli.access.helper import IMAGE, SOCKETS, HelperHost
from evercan.cli.access.host import Host, ThisHost, is_root
from evercan.cli.access.plugin import PluginSocket
from evercan.cli.errors import NoPlugin


@dataclass(frozen=True)
class Wish:
    """Where to look, as given on the command line.

    Attributes:
        engine: a DOCKER_HOST value; empty for the environment's.
        plugin: a plugin's name; None for every evercan.
        helper_image: the image of the container that leads to another host; empty for ours.
        sockets: the folder of the plugins' sockets on this host; empty for the engine's own.
    """

    engine: str = ""
    plugin: str | None = None
    helper_image: str = ""
    sockets: str = ""


@contextmanager
def host_of(engine: Engine, wish: Wish, *, files: bool = False) -> Iterator[Host]:
    """The way to an engine's host, cleared away at the end.

    Root on the engine's own machine needs nothing. Everybody else who may use the
    engine is led there by a container, which is no more than he could do anyway.

    Raises:
        CliError: there is none.
    """
    host = way_to(engine, wish, files=files)
    try:
        yield host
    finally:
        host.close()


def way_to(engine: Engine, wish: Wish, *, files: bool = False) -> Host:
    """As `host_of`; whoever calls it closes it."""
    image = wish.helper_image or IMAGE
    if wish.sockets:
        return ThisHost()
    if engine.is_this_machine() and not wish.helper_image:
        if is_root():
            return ThisHost()
        if engine.ask(engine.api.inspect_image, image) is None:
            return ThisHost(
                lambda: f", or let the engine have the image {image}, by which its users get there"
            )
    return HelperHost(engine, image, files=files)


def socket_of(plugin: Plugin, host: Host, wish: Wish) -> PluginSocket:
    """The plugin's socket on that host."""
    return PluginSocket(plugin, host, wish.sockets or SOCKETS)


def choose(plugins: Sequence[Plugin], wanted: str | None) -> list[Plugin]:
    """Pick the enabled plugins of a name; of every name for None.

    Raises:
        NoPlugin: there is none, or it is disabled.
    """
    named = [
        each for each in plugins if wanted in (None, each.name, each.name.removesuffix(":latest"))
    ]
    if not named:
        others = f" (it has {', '.join(each.name for each in plugins)})" if plugins else ""
        name = wanted or "evercan:latest"
        raise NoPlugin(
            f"the engine has no evercan named {name}{others}; create it under that name: "
            f"docker plugin create {name} dist/plugin && docker plugin enable {name}"
        )
    enabled = [each for each in named if each.enabled]
    if not enabled:
        name = named[0].name
        raise NoPlugin(f"plugin {name} is disabled; run 'docker plugin enable {name}' first")
    return enabled
