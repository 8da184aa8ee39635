"""Find the engine, its host and its plugins from the options on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from evercan.cli.access.container import IMAGE
from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.helper import SOCKETS, HelperHost
from evercan.cli.access.host import HostAccess, LocalHost, is_root
from evercan.cli.access.plugin import PluginSocket
from evercan.cli.errors import NoPlugin
from evercan.cli.views.docker import DockerPlugin


@dataclass(frozen=True)
class Target:
    """The engine and the plugin that the command line names.

    Attributes:
        engine: a DOCKER_HOST value; empty for the environment's.
        plugin: a plugin's name; None for every evercan.
        helper_image: the image of the helper container; empty for the default.
        sockets: the folder of the plugins' sockets on this host; empty for the engine's own.
    """

    engine: str = ""
    plugin: str | None = None
    helper_image: str = ""
    sockets: str = ""

    @property
    def image(self) -> str:
        """The image of containers that end with this process."""
        return self.helper_image or IMAGE


@contextmanager
def host_access(
    engine: DockerEngine, target: Target, *, files: bool = False
) -> Iterator[HostAccess]:
    """Provide access to an engine's host, and remove the access at the end.

    Root on the engine's own machine has direct access. Other users of the engine get
    it through a container, which gives them no more rights than the engine does.

    Raises:
        CliError: the host cannot be reached.
    """
    host = open_host(engine, target, files=files)
    try:
        yield host
    finally:
        host.close()


def open_host(engine: DockerEngine, target: Target, *, files: bool = False) -> HostAccess:
    """Open access to an engine's host as `host_access` does; the caller closes it."""
    image = target.image
    if target.sockets:
        return LocalHost()
    if engine.is_this_machine() and not target.helper_image:
        if is_root():
            return LocalHost()
        if engine.ask(engine.api.inspect_image, image) is None:
            return LocalHost(
                lambda: f", or load the image {image}, which gives users of the engine access"
            )
    return HelperHost(engine, image, files=files)


def plugin_socket(plugin: DockerPlugin, host: HostAccess, target: Target) -> PluginSocket:
    """Return the plugin's socket on that host."""
    return PluginSocket(plugin, host, target.sockets or SOCKETS)


def select_plugins(plugins: Sequence[DockerPlugin], wanted: str | None) -> list[DockerPlugin]:
    """Return the enabled plugins of a name; of every name for None.

    Raises:
        NoPlugin: there is none, or it is disabled.
    """
    named = [plugin for plugin in plugins if plugin.has_name(wanted)]
    if not named:
        others = f" (plugins: {', '.join(plugin.name for plugin in plugins)})" if plugins else ""
        name = wanted or "evercan:latest"
        raise NoPlugin(
            f"the engine has no evercan plugin named {name}{others}",
            f"create it: docker plugin create {name} dist/plugin && docker plugin enable {name}"
            if wanted
            else "install it: evercan install",
        )
    enabled = [plugin for plugin in named if plugin.enabled]
    if not enabled:
        name = named[0].name
        raise NoPlugin(f"plugin {name} is disabled", f"enable it: docker plugin enable {name}")
    return enabled
