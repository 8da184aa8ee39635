"""The command line: what can be typed, and its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from click.shell_completion import get_completion_class

from evercan import __version__
from evercan.cli.access.reach import Wish
from evercan.cli.commands import completion as complete
from evercan.cli.errors import CliError
from evercan.cli.pages.terminal import as_json, columns, console

_F = TypeVar("_F", bound=Callable[..., Any])

_SHELLS = {
    "bash": 'eval "$(evercan completion bash)"                     # into ~/.bashrc',
    "zsh": 'eval "$(evercan completion zsh)"                      # into ~/.zshrc',
    "fish": "evercan completion fish > ~/.config/fish/completions/evercan.fish",
}

_HELP = click.RichHelpConfiguration(
    text_markup="rich",
    width=min(80, columns()),
    use_click_short_help=True,
)


def examples(*lines: str) -> str:
    """Write examples below a command's help; click rewraps what has no backspace before it."""
    return "[bold]Examples[/]\n\n" + "\n\n".join(f"  [dim]$[/] {line}" for line in lines)


def reaching(command: _F) -> _F:
    """Add the options by which every command finds its engine, plugin and host."""
    for option in (
        click.option(
            "--sockets",
            metavar="FOLDER",
            default="",
            help="Folder of plugins' sockets.",
            hidden=True,
        ),
        click.option(
            "--helper-image",
            metavar="IMAGE",
            default="",
            envvar="EVERCAN_HELPER_IMAGE",
            help="Image of the short-lived container that leads to another machine's host: it has "
            "sh, candump, and nc.openbsd or socat.  [dim]default: evercan/can-tools[/]",
        ),
        click.option(
            "--plugin",
            "--driver",
            metavar="NAME",
            shell_complete=complete.plugins,
            help="The plugin of this name.  [dim]default: every enabled evercan[/]",
        ),
        click.option(
            "-H",
            "--engine",
            metavar="ADDRESS",
            default="",
            help="The engine: unix:// or tcp://.  [dim]default: DOCKER_HOST, or docker's "
            "current context[/]",
        ),
    ):
        command = option(command)
    return command


def _wish(given: dict[str, Any]) -> Wish:
    return Wish(
        engine=given.pop("engine"),
        plugin=given.pop("plugin"),
        helper_image=given.pop("helper_image"),
        sockets=given.pop("sockets"),
    )


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 all is well; 1 something is not, the output says what; 2 nothing could "
    "be asked, a sentence on standard error says why.",
)
@click.rich_config(help_config=_HELP)
@click.version_option(__version__, "-V", "--version", prog_name="evercan")
def evercan() -> None:
    """CAN buses as Docker networks: see whether they are well, and what to do if not."""


@evercan.command(
    short_help="Find what is wrong, and what to do about it.",
    epilog=examples(
        "sudo evercan doctor",
        "evercan doctor --json | jq '.checks[] | select(.result == \"fail\")'",
        "DOCKER_CONTEXT=gateway evercan doctor",
    ),
)
@click.option("--json", "json_", is_flag=True, help="For machines.")
@click.option("--strict", is_flag=True, help="Let a warning count as a failure.")
@reaching
def doctor(*, json_: bool, strict: bool, **given: Any) -> int:
    """Look for what keeps a bus from being well, and say what to do.

    It asks the host (kernel modules, can-gw), the engine, the plugin and its record, and every
    network. What cannot be looked at is skipped, with the reason.

    Exit status: 0 nothing fails; 1 something does.
    """
    from evercan.cli.commands import doctor as command

    return command.doctor(_wish(given), as_json=json_, strict=strict)


@evercan.command(
    short_help="Show networks, buses, containers, frames.",
    epilog=examples(
        "sudo evercan status",
        "evercan status --json | jq '.plugins[].networks[] | {name, bus, state}'",
    ),
)
@click.option("--json", "json_", is_flag=True, help="For machines.")
@reaching
def status(*, json_: bool, **given: Any) -> int:
    """Show networks, their buses, and the containers on them.

    Exit status: 0 all are well; 1 one is not.
    """
    from evercan.cli.access import source
    from evercan.cli.pages import status as command

    seen = source.look(_wish(given))
    if json_:
        as_json(command.document(seen))
    else:
        console().print(command.page(seen))
    return command.exit_status(seen)


@evercan.command(
    short_help="The same live, with frames a second.",
    epilog=examples("sudo evercan watch", "evercan watch -H tcp://10.0.0.7:2375 -n 2"),
)
@click.option(
    "-n",
    "--interval",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds from one look to the next.",
)
@reaching
def watch(*, interval: float, **given: Any) -> int:
    """Watch the buses live, with frames a second, until q is pressed.

    Restarts of the plugin and of the engine are survived, and shown.
    """
    from evercan.cli.pages import watch_app as command

    return command.watch(_wish(given), interval)


@evercan.command(
    short_help="Draw each bus with its members.",
    epilog=examples(
        "sudo evercan graph -o can.svg",
        "sudo evercan graph -o topology.md",
        "sudo evercan graph --format dot | dot -Tpdf -o can.pdf",
    ),
)
@click.argument("networks", nargs=-1, metavar="[NETWORK]...", shell_complete=complete.networks)
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(["svg", "mermaid", "dot"]),
    help="What to write.  [dim]default: by the file's ending, else svg[/]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="Where to.  [dim]default: standard output[/]",
)
@reaching
def graph(*, networks: tuple[str, ...], format_: str | None, output: str, **given: Any) -> int:
    """Draw the topology: each bus with its members.

    All networks, or those that are named.
    """
    from evercan.cli.commands import graph as command

    return command.graph(_wish(given), networks, format_, output)


@evercan.command(
    short_help="Print frames, with who sent them.",
    epilog=examples(
        "evercan dump powertrain",
        "evercan dump powertrain --from dashboard --filter 100:700",
        "evercan dump powertrain --duration 60 > drive.log; log2asc -I drive.log vcan0 dashboard",
        "evercan dump powertrain --as-bus | canplayer vcan1=vcan0",
    ),
)
@click.argument("network", shell_complete=complete.networks)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="ID:MASK",
    help="Frames whose id agrees with ID in the bits of MASK (hex); ID~MASK: the others. "
    "May be given again: any of them.",
)
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="NAME",
    help="Frames of this container, or of the bus interface. May be given again.",
)
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="End after N frames.")
@click.option(
    "-t", "--duration", type=click.FloatRange(0.1), metavar="SECONDS", help="End after that time."
)
@click.option(
    "--as-bus", is_flag=True, help="Write the bus interface in place of the sender's name."
)
@reaching
def dump(*, network: str, **given: Any) -> int:
    """Print a bus's frames as they pass, each once, with the container that sent it.

    The format is candump's log format, with the sender in the interface's place: can-utils and
    python-can read it. Frames of programs on the host and from the wire bear the bus's name.
    Needs no root on the engine's host, only the right to use the engine.
    """
    from evercan.cli.commands import dump as command

    wish = _wish(given)
    return command.dump(wish, network, command.Limits(**given))


@evercan.command(
    short_help="Give networks back to a plugin without them.",
    epilog=examples("sudo evercan adopt", "sudo evercan adopt --plugin wsovalle/vxcan:latest"),
)
@click.option(
    "--prune",
    is_flag=True,
    help="Let the plugin forget networks that the engine does not have, and delete interface pairs "
    "of its own that no container has.",
)
@reaching
def adopt(*, prune: bool, **given: Any) -> int:
    """Give the engine's networks back to a plugin that lost its record.

    That is one that was removed and created again. With --plugin, networks made by whichever
    plugin had that name before are given too.

    Exit status: 0 all is on record and well; 1 something is left to do, the report says what.
    """
    from evercan.cli.commands import adopt as command

    return command.adopt(_wish(given), prune=prune)


@evercan.command(short_help="Print a shell's completion.", epilog=examples(*_SHELLS.values()))
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> int:
    """Print what makes a shell complete commands, options, plugins and networks."""
    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"there is no completion for {shell}; there is for {', '.join(_SHELLS)}")
    print(kind(evercan, {}, "evercan", "_EVERCAN_COMPLETE").source())
    return 0
