"""Options and arguments that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from click import get_current_context

from evercan.cli.access.reach import Target
from evercan.cli.commands import completion as shells

_F = TypeVar("_F", bound=Callable[..., Any])


class _Unit(click.ParamType):  # type: ignore[type-arg] # generic only in newer releases
    """A number with a unit: ``10m``."""

    def __init__(self, name: str, units: dict[str, int], example: str) -> None:
        self.name = name
        self._units, self._example = units, example

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number in the smallest unit."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", str(value), re.ASCII)
        unit = self._units.get(found[2].lower()) if found else None
        if found is None or unit is None or not float(found[1]):
            units = ", ".join(unit for unit in self._units if unit)
            self.fail(f"{value} is not a {self.name}; write {self._example} ({units})", param, ctx)
        return float(found[1]) * unit


SIZE = _Unit("size", {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}, "100M")
TIME = _Unit("time", {"": 1, "s": 1, "m": 60, "h": 3600}, "10m")

NETWORKS = click.argument(
    "networks", nargs=-1, metavar="[NETWORK]...", shell_complete=shells.complete_networks
)
NETWORK = click.argument("network", shell_complete=shells.complete_networks)
JSON = click.option("--json", is_flag=True, help="Print JSON.")
DBC = click.option(
    "--dbc",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="Decode frames by this database (DBC, ARXML, KCD, SYM). Repeat it for more files. Needs "
    "evercan\\[workbench].",
)
BITRATE = click.option(
    "--bitrate",
    type=click.IntRange(1_000, 8_000_000),
    default=None,
    metavar="BIT/S",
    help="Compute the load of a virtual bus as if it had this bitrate.",
)
DBITRATE = click.option(
    "--dbitrate",
    type=click.IntRange(1_000, 20_000_000),
    default=None,
    metavar="BIT/S",
    help="The bitrate of the payload of CAN FD frames, likewise.",
)
FRAMES = click.argument("frames", nargs=-1, metavar="FRAME...")
DBC_TO_SEND = click.option(
    "--dbc",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="Database (DBC, ARXML, KCD, SYM) of messages that are named in place of a frame, with "
    "values of their signals. Repeat it for more files. Needs evercan\\[workbench].",
)
FILTERS = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="ID:MASK",
    help="Only frames whose id equals ID in the bits of MASK (hexadecimal); ID~MASK: all others. "
    "Repeat it for more ids.",
)
SENDERS = click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="NAME",
    help="Only frames of this container, or of the bus interface. Repeat it for more senders.",
)
COUNT = click.option(
    "-n", "--count", type=click.IntRange(1), metavar="N", help="End after N frames."
)
DURATION = click.option(
    "-t", "--duration", type=click.FloatRange(0.1), metavar="SECONDS", help="End after this time."
)


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
            "candump, and nc.openbsd or socat; evercan-play to send frames.  [dim]default: "
            "EVERCAN_HELPER_IMAGE, or evercan/can-tools[/]",
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
