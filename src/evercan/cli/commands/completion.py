"""``evercan completion``: complete commands, options, plugins and networks in a shell."""

from __future__ import annotations

from contextlib import closing

import rich_click as click
from click.shell_completion import get_completion_class

from evercan.cli.access.engine import DockerEngine
from evercan.cli.errors import CliError
from evercan.cli.views.docker import DockerPlugin

INSTALL = {
    "bash": 'eval "$(evercan completion bash)"                     # into ~/.bashrc',
    "zsh": 'eval "$(evercan completion zsh)"                      # into ~/.zshrc',
    "fish": "evercan completion fish > ~/.config/fish/completions/evercan.fish",
}
"""How to install the completion, by shell."""


def completion(shell: str, command: click.Command) -> int:
    """Print the shell code that completes a command.

    Raises:
        CliError: the shell is not supported.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"no completion for {shell}", f"shells: {', '.join(INSTALL)}")
    print(kind(command, {}, "evercan", "_EVERCAN_COMPLETE").source())
    return 0


def complete_plugins(context: click.Context, _: object, begun: str) -> list[str]:
    """Return the plugins whose names begin like this; none if the engine does not answer."""
    try:
        with closing(DockerEngine(_address(context))) as engine:
            return [plugin.name for plugin in engine.plugins() if plugin.name.startswith(begun)]
    except CliError:
        return []


def complete_networks(context: click.Context, _: object, begun: str) -> list[str]:
    """Return the networks whose names begin like this; none if the engine does not answer."""
    try:
        with closing(DockerEngine(_address(context))) as engine:
            names = [name for plugin in engine.plugins() for name in _networks(engine, plugin)]
    except CliError:
        return []
    return [name for name in names if name.startswith(begun)]


def _networks(engine: DockerEngine, plugin: DockerPlugin) -> list[str]:
    return [network.name for network in engine.networks(plugin.name)]


def _address(context: click.Context) -> str:
    """Return the engine's address, given after the command or before it."""
    given = (context.params, context.find_root().params)
    return next((params["engine"] for params in given if params.get("engine")), "")
