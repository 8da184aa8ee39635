"""Define the command line: the commands, their options and their help."""

from __future__ import annotations

from functools import partial
from typing import Any

import rich_click as click

from evercan import __version__
from evercan.cli import frames
from evercan.cli.app_fault import fault
from evercan.cli.app_link import link
from evercan.cli.app_web import web
from evercan.cli.commands import completion as shells
from evercan.cli.commands import help as topics
from evercan.cli.options import (
    DBC,
    DRY_RUN,
    ENGINE,
    JSON,
    NETWORKS,
    connection,
    engine_of,
    examples,
    target_of,
)
from evercan.cli.pages.terminal import columns

_HELP = click.RichHelpConfiguration(
    text_markup="rich",
    width=min(80, columns()),
    use_click_short_help=True,
)


class _Commands(click.RichGroup):
    """A group that lists its commands in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - its parent's
        """Return the names of the commands in the order of their definition."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The connection options can also be given after the command. 'evercan help' lists "
    "topics such as exit-status, connection and recovery.",
)
@click.rich_config(help_config=_HELP)
@click.version_option(__version__, "-V", "--version", prog_name="evercan")
@partial(connection, helper_image_variable="EVERCAN_HELPER_IMAGE")
def evercan(**_: Any) -> None:
    """Show the health of CAN buses in Docker, and what to do about problems."""


@evercan.command(
    short_help="Show networks, buses, containers and frame counts.",
    epilog=examples(
        "sudo evercan status",
        "evercan -H ssh://root@gateway status powertrain",
        "evercan status --json | jq '.plugins[].networks[] | {name, bus, state}'",
    ),
)
@NETWORKS
@JSON
@connection
def status(*, networks: tuple[str, ...], json: bool, **options: Any) -> int:
    """Show all networks, or those that are named, with their buses and containers.

    Exit status: 0 all are healthy; 1 one is not.
    """
    from evercan.cli.commands import status as command

    return command.status(target_of(options), networks, json=json)


@evercan.command(
    short_help="Show the same live, with frames per second.",
    epilog=examples("sudo evercan watch", "evercan -H tcp://10.0.0.7:2375 watch -n 2 powertrain"),
)
@NETWORKS
@click.option(
    "-n",
    "--interval",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two refreshes.",
)
@DBC
@connection
def watch(
    *, networks: tuple[str, ...], interval: float, dbc: tuple[str, ...], **options: Any
) -> int:
    """Show all networks, or those that are named, live and full screen.

    Press Enter for details of the selected member, d for the frames on its bus, ? for all keys
    and q to quit. When the plugin or the engine restarts, the screen says so and continues by
    itself.
    """
    from evercan.cli.commands import watch as command

    return command.watch(target_of(options), networks, interval, dbc)


evercan.add_command(web)


@evercan.command(
    short_help="Find problems, and what to do about them.",
    epilog=examples(
        "sudo evercan doctor",
        "evercan doctor --json | jq '.checks[] | select(.result == \"fail\")'",
        "DOCKER_CONTEXT=gateway evercan doctor",
    ),
)
@JSON
@click.option("--strict", is_flag=True, help="Count warnings as failures.")
@connection
def doctor(*, json: bool, strict: bool, **options: Any) -> int:
    """Check the host, the engine, the plugin and every network.

    A check that is not possible is skipped, with the reason: the command also works without root,
    without Docker and without the kernel modules.

    Exit status: 0 no check fails, also if there are warnings; 1 a check fails.
    """
    from evercan.cli.commands import doctor as command

    return command.doctor(target_of(options), json=json, strict=strict)


@evercan.command(
    short_help="Draw each bus with its members.",
    epilog=examples(
        "sudo evercan graph -o can.svg",
        "sudo evercan graph -o topology.md",
        "sudo evercan graph --format dot | dot -Tpdf -o can.pdf",
    ),
)
@NETWORKS
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(["svg", "mermaid", "dot"]),
    help="The format.  [dim]default: by the file's ending (.svg, .mmd, .md, .dot, .gv, .json), "
    "else svg[/]",
)
@JSON
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="The file.  [dim]default: standard output[/]",
)
@connection
def graph(
    *, networks: tuple[str, ...], format_: str | None, json: bool, output: str, **options: Any
) -> int:
    """Draw all networks, or those that are named: each bus with its members."""
    from evercan.cli.commands import graph as command

    if json and format_:
        raise click.UsageError("--json and --format cannot be used together")
    return command.graph(target_of(options), networks, "json" if json else format_, output)


for _command in frames.COMMANDS:
    evercan.add_command(_command)


evercan.add_command(fault)


@evercan.command(
    short_help="Restore the engine's networks to a plugin that lost its state.",
    epilog=examples("sudo evercan adopt", "sudo evercan adopt --plugin wsovalle/vxcan:latest"),
)
@click.option(
    "--prune",
    is_flag=True,
    help="Let the plugin forget networks and endpoints that the engine does not have, and delete "
    "its interface pairs that belong to no container.",
)
@JSON
@connection
def adopt(*, prune: bool, json: bool, **options: Any) -> int:
    """Restore the engine's networks to a plugin that lost its state.

    A plugin loses its state when it is removed and created again. With --plugin, it also takes
    over the networks of another plugin that had this name before.

    Exit status: 0 everything is restored; 1 something is left to do, and the report names it.
    """
    from evercan.cli.commands import adopt as command

    return command.adopt(target_of(options), prune=prune, json=json)


evercan.add_command(link)


@evercan.command(
    short_help="Install the plugin, or upgrade it in place.",
    epilog=examples(
        "sudo evercan install",
        "sudo evercan install --from evercan-plugin-0.1.0-amd64.tar.gz",
        "evercan -H ssh://root@gateway install --dry-run",
    ),
)
@click.option("--from", "source", metavar="FILE", help="A release's tarball; needs no network.")
@click.option("--version", metavar="X.Y.Z", help="The version.  [dim]default: this command's[/]")
@click.option("--registry", metavar="REGISTRY", help="Where to pull from.")
@DRY_RUN
@ENGINE
def install(*, source: str | None, engine: str, dry_run: bool, **options: str | None) -> int:
    """Install the plugin on an engine, or upgrade it in place with its networks and its state.

    On this host the kernel modules are loaded too, now and at each boot. If a step fails, the
    former build runs on. It needs the command docker.

    Exit status: 0 the plugin is installed and enabled; otherwise nothing has changed.
    """
    from evercan.cli.commands import install as command

    command.run(engine_of(engine), {"from": source, "dry-run": dry_run, **options})


@evercan.command(
    short_help="Remove the plugin.",
    epilog=examples("sudo evercan uninstall", "sudo evercan uninstall --force"),
)
@click.option("--force", is_flag=True, help="Remove the plugin's networks too.")
@DRY_RUN
@ENGINE
def uninstall(*, engine: str, force: bool, dry_run: bool) -> int:
    """Remove the plugin, its state, the list of kernel modules and the image evercan/can-tools.

    It refuses while the plugin has networks, unless --force is given.

    Exit status: 0 nothing of evercan is left.
    """
    from evercan.cli.commands import install as command

    options = {"uninstall": True, "force": force, "dry-run": dry_run}
    command.run(engine_of(engine), options)


@evercan.command(
    short_help="Print shell code that completes commands and networks.",
    epilog=examples(*shells.INSTALL.values()),
)
@click.argument("shell", type=click.Choice(list(shells.INSTALL)))
def completion(shell: str) -> int:
    """Print shell code that completes commands, options, plugins and networks."""
    return shells.completion(shell, evercan)


@evercan.command(
    name="help",
    short_help="Explain a command or a topic.",
    epilog=examples("evercan help", "evercan help status", "evercan help exit-status"),
)
@click.argument("topic", required=False, default="", shell_complete=topics.complete_topics)
def help_(topic: str) -> int:
    """Explain a command or a topic; without one, list both."""
    return topics.show(topic, evercan)
