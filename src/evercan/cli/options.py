"""Options and arguments that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from click import get_current_context

from evercan.cli.access.reach import Target
from evercan.cli.commands import completion as shells

_F = TypeVar("_F", bound=Callable[..., Any])

NETWORKS = click.argument(
    "networks", nargs=-1, metavar="[NETWORK]...", shell_complete=shells.complete_networks
)
FAULT_FROM = click.option(
    "--from",
    "source",
    metavar="NAME",
    help="Frames from this member: a container, or an interface of the host.",
)
FAULT_TO = click.option("--to", metavar="NAME", help="Frames to this member.")
JSON = click.option("--json", is_flag=True, help="Print JSON.")


def _engine(*more_names: str) -> Callable[[_F], _F]:
    return click.option(
        "-H",
        "--host",
        *more_names,
        "engine",
        metavar="ADDRESS",
        default="",
        help="The engine: unix://, tcp:// or ssh://.  [dim]default: DOCKER_HOST, or docker's "
        "current context[/]",
    )


ENGINE = _engine()
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done.")


def examples(*lines: str) -> str:
    """Format examples for the end of a command's help."""
    return "[bold]Examples[/]\n\n" + "\n\n".join(f"  [dim]$[/] {line}" for line in lines)


def connection(command: _F, helper_image_variable: str | None = None) -> _F:
    """Add the options that say which engine, plugin and host a command uses."""
    for option in (
        click.option(
            "--sockets",
            metavar="FOLDER",
            default="",
            help="Folder of the plugins' sockets.",
            hidden=True,
        ),
        click.option(
            "--helper-image",
            metavar="IMAGE",
            default="",
            envvar=helper_image_variable,
            help="Image of the helper container that reaches the engine's host. It needs sh, "
            "candump, and nc.openbsd or socat.  [dim]default: EVERCAN_HELPER_IMAGE, or "
            "evercan/can-tools[/]",
        ),
        click.option(
            "--plugin",
            "--driver",
            metavar="NAME",
            shell_complete=shells.complete_plugins,
            help="The plugin.  [dim]default: every enabled evercan[/]",
        ),
        _engine("--engine"),
    ):
        command = option(command)
    return command


def target_of(options: dict[str, Any]) -> Target:
    """Take the connection options: those after the command, else those before it."""
    before = get_current_context().find_root().params

    def pick(name: str) -> Any:
        return options.pop(name) or before[name]

    return Target(
        engine=pick("engine"),
        plugin=pick("plugin"),
        helper_image=pick("helper_image"),
        sockets=pick("sockets"),
    )


def engine_of(after: str) -> str:
    """Return the engine that a command with `ENGINE` uses: that after it, else that before it."""
    return after or str(get_current_context().find_root().params["engine"])
