"""The main job, to be watched: frames, a power cut, frames again, and a verdict.

Exit status 0 means that before and after the power cut every frame reached
every other member exactly once.
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
from lab.errors import LabError
from lab.frames import ContainerMember, HostMember, Member, Verdict, judge
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed, choose
from tools.common import BuildError
from tools.images import load_can_tools
from tools.install import NAME, install
from tools.plugin import build

EXAMPLE = Path(__file__).parent.parent / "examples" / "compose.yaml"
BUS = "vcan0"
FRAMES = 50


def main() -> int:
    """Run the demo; return its exit status."""
    # Ctrl-C and a plain kill both unwind: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run()
    except KeyboardInterrupt:
        show.say("\nstopped; nothing is left running")
        return 130
    except (LabError, BuildError, TimeoutError) as error:
        show.say(f"[red]{error}[/]")
        return 1


def _run() -> int:
    show.heading("A machine with a Docker engine and CAN modules")
    with choose(helper_image=load_can_tools) as testbed:
        show.say(f"testbed: [bold]{testbed.name}[/]")
        if not testbed.cuts_power:
            show.say(
                f"[yellow]somebody's engine: {NAME} there becomes this checkout's and is killed "
                "once; its networks and its record stay. EVERCAN_TESTBED=lab keeps clear of it[/]"
            )
        show.heading("The plugin")
        show.say(f"built: {build(fallback=testbed.docker_host)}")
        client = testbed.client()
        install(client)
        load_can_tools(client, testbed.docker_host)
        project = Project(testbed, EXAMPLE, "evercan-demo")
        try:
            return _demonstrate(testbed, project)
        finally:
            _clean_up(project)


def _clean_up(project: Project) -> None:
    """Remove what the demo made; a machine that is gone must not hide why."""
    try:
        show.waiting("removing the demo's containers and network", project.down)
    except (LabError, OSError) as error:
        show.say(f"[yellow]could not clean up: {error}[/]")


def _demonstrate(testbed: Testbed, project: Project) -> int:
    show.heading("Two containers on one bus")
    how = "docker compose up" if project.by_compose else "the engine's API (no compose there)"
    show.waiting(f"starting examples/compose.yaml by {how}", project.up)
    project.wait_running()
    before = _measure(testbed, project)

    show.heading("The power is cut" if testbed.cuts_power else "The plugin is killed")
    moment = time.monotonic()
    _strike(testbed, project)
    answered = time.monotonic() - moment
    project.wait_running()
    after = _measure(testbed, project, since=moment)

    show.heading("How it went")
    show.verdict(
        {"before": before, "after": after},
        {
            "from the blow until the engine answered": f"{answered:.1f} s",
            "until every member heard frames again": f"{after.seconds:.1f} s",
        },
    )
    whole = before.exactly_once and after.exactly_once
    show.say(
        "[bold green]every frame reached every other member exactly once, before and after[/]"
        if whole
        else "[bold red]the bus is not whole[/]"
    )
    return 0 if whole else 1


def _strike(testbed: Testbed, project: Project) -> None:
    """Cut the power; on an engine that is not ours, kill the plugin and delete the demo's pairs."""
    if testbed.cuts_power:
        show.waiting("the machine boots again", testbed.power_cut)
        return
    plugin = PluginProcess(testbed)
    for name in host_ends(plugin.ask("/status")[1], [str(each.id) for each in project.networks()]):
        testbed.host("ip", "link", "del", name, check=False)
    show.waiting("the engine starts the plugin again", plugin.kill)


def host_ends(status: dict[str, Any], networks: Collection[str]) -> list[str]:
    """Return the host ends of some networks' pairs, as the plugin's status has them.

    Args:
        status: what the plugin answers on ``/status``.
        networks: the engine's ids of the networks.
    """
    return [
        endpoint["host_end"]
        for network in status["networks"]
        if network["network"] in networks
        for endpoint in network["endpoints"]
        if endpoint["present"]
    ]


def _measure(testbed: Testbed, project: Project, since: float | None = None) -> Verdict:
    """Show frames as they pass, then count a burst from every member.

    Args:
        testbed: where it runs.
        project: the example, up and running.
        since: moment from which ``seconds`` of the verdict count.
    """
    sender, listener = project.container("sender"), project.container("listener")
    with closing(HostMember(testbed, BUS)) as host:
        members: list[Member] = [
            ContainerMember(listener, "can0"),
            ContainerMember(sender, "can0"),
            host,
        ]
        verdict = judge(members, FRAMES)
        if since is not None:
            verdict.seconds = time.monotonic() - since
        show.say("frames as they pass, the host's, the listener's and the sender's view:")
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
    show.say(f"{verdict}")
    return verdict


if __name__ == "__main__":
    sys.exit(main())
