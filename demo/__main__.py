"""Shows the plugin at work: frames, a power cut, frames again, and the result.

Exit status 0 means that each frame reached each other member exactly once, before and after the
power cut.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from demo import show
from lab.compose import Project
from lab.frames import ContainerMember, Deliveries, HostMember, Member, count_deliveries
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed, choose
from tools.common.errors import ToolError
from tools.images import load_can_tools
from tools.install import NAME, install
from tools.plugin import build_for

EXAMPLE = Path(__file__).parent.parent / "examples" / "compose.yaml"
BUS = "vcan0"
FRAMES = 50


def main() -> int:
    """Run the demo; return its exit status."""
    # SIGTERM is handled like Ctrl-C, so that everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run()
    except KeyboardInterrupt:
        show.line("\nstopped; nothing is left running")
        return 130
    except (ToolError, TimeoutError) as error:
        show.line(f"[red]{error}[/]")
        return 1


def _run() -> int:
    show.heading("A machine with a Docker engine and CAN modules")
    with choose(helper_image=load_can_tools) as testbed:
        show.line(f"testbed: [bold]{testbed.name}[/]")
        if not testbed.cuts_power:
            show.line(
                f"[yellow]this is an existing engine: its plugin {NAME} is upgraded to this "
                "checkout's and killed once; its networks and its state are kept. To use the lab "
                "instead, set EVERCAN_TESTBED=lab[/]"
            )
        show.heading("The plugin")
        show.line(f"built: {build_for(testbed.docker_host)}")
        client = testbed.client()
        install(client)
        load_can_tools(client, testbed.docker_host)
        project = Project(testbed, EXAMPLE, "evercan-demo")
        try:
            return _demonstrate(testbed, project)
        finally:
            _clean_up(project)


def _clean_up(project: Project) -> None:
    """Remove what the demo made; a failure here must not hide an earlier one."""
    try:
        show.waiting("removing the demo's containers and network", project.down)
    except (ToolError, OSError) as error:
        show.line(f"[yellow]cannot remove the demo's containers and network: {error}[/]")


def _demonstrate(testbed: Testbed, project: Project) -> int:
    show.heading("Two containers on one bus")
    how = (
        "docker compose up" if project.by_compose else "the engine's API (its host has no compose)"
    )
    show.waiting(f"starting examples/compose.yaml by {how}", project.up)
    project.wait_running()
    before = _measure(testbed, project)

    show.heading("A power cut" if testbed.cuts_power else "The plugin is killed")
    started = time.monotonic()
    _interrupt(testbed, project)
    answered = time.monotonic() - started
    project.wait_running()
    after = _measure(testbed, project, since=started)

    show.heading("Result")
    show.deliveries(
        {"before": before, "after": after},
        {
            "until the engine answered": f"{answered:.1f} s",
            "until every member received frames again": f"{after.seconds:.1f} s",
        },
    )
    exactly_once = before.exactly_once and after.exactly_once
    show.line(
        "[bold green]every frame reached every other member exactly once, before and after[/]"
        if exactly_once
        else "[bold red]frames were lost or doubled[/]"
    )
    return 0 if exactly_once else 1


def _interrupt(testbed: Testbed, project: Project) -> None:
    """Cut the lab's power; on another engine kill the plugin and delete the demo's pairs."""
    if testbed.cuts_power:
        # The engine does not sync that a container was started. If its state is lost, the engine
        # takes it for one that was never started, and leaves it so.
        testbed.host("sync")
        show.waiting("the machine boots again", testbed.power_cut)
        return
    plugin = PluginProcess(testbed)
    networks = [str(network.id) for network in project.networks()]
    for name in host_ends(plugin.ask("/status")[1], networks):
        testbed.host("ip", "link", "del", name, check=False)
    show.waiting("the engine starts the plugin again", plugin.kill)


def host_ends(status: dict[str, Any], networks: Collection[str]) -> list[str]:
    """Return the host ends of some networks' pairs.

    Args:
        status: The plugin's answer to ``/status``.
        networks: The engine's ids of the networks.
    """
    return [
        endpoint["host_end"]
        for network in status["networks"]
        if network["network"] in networks
        for endpoint in network["endpoints"]
        if endpoint["present"]
    ]


def _measure(testbed: Testbed, project: Project, since: float | None = None) -> Deliveries:
    """Count the deliveries of a burst from every member, then show frames as they arrive.

    Args:
        testbed: The testbed.
        project: The running example.
        since: Time from which ``seconds`` of the result counts.
    """
    sender, listener = project.container("sender"), project.container("listener")
    with closing(HostMember(testbed, BUS)) as host:
        members: list[Member] = [
            ContainerMember(listener, "can0"),
            ContainerMember(sender, "can0"),
            host,
        ]
        result = count_deliveries(members, FRAMES)
        if since is not None:
            result.seconds = time.monotonic() - since
        show.line("frames as the host, the listener and the sender receive them:")
        with testbed.host_process("candump", "-L", BUS) as process:
            show.frames(
                {
                    f"host {BUS}": process.stdout or (),
                    "listener": listener.logs(stream=True, follow=True, tail=0),
                    "sender": sender.logs(stream=True, follow=True, tail=0),
                },
                seconds=4.0,
                most=4,
            )
            process.terminate()
    show.line(f"{result}")
    return result


if __name__ == "__main__":
    sys.exit(main())
