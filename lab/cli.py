"""The command line of the lab: ``python -m lab COMMAND``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from lab import detached, image, qemu
from lab.errors import LabError, TestbedError, exit_status
from lab.lab_testbed import LabTestbed
from lab.machine import Machine
from lab.recipe import RELEASES, VARIABLE, Recipe, chosen
from lab.testbed import lab_testbed
from tools import plugin
from tools.common.architecture import ARCHITECTURES, Architecture
from tools.common.errors import NoEngineError
from tools.common.progress import report

_Command = Callable[[argparse.Namespace], int]


def _build(arguments: argparse.Namespace) -> int:
    print(image.ensure(_guest(arguments)).folder)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    guest = _guest(arguments)
    machine = detached.up(guest)
    print(f"export DOCKER_HOST={machine.docker_host}")
    print(
        f"{LabTestbed(machine).name} is running; stop it with: {_command('down', guest)}",
        file=sys.stderr,
    )
    return 0


def _down(arguments: argparse.Namespace) -> int:
    guest = _guest(arguments)
    print("stopped" if detached.down(guest) else _not_running(guest))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    guest = _guest(arguments)
    machines = detached.all_running()
    for machine in machines:
        print(LabTestbed(machine).name)
        if not machine.image.is_current:
            print("its image is out of date; to replace it:", _command("up", machine.image.recipe))
        print(f"DOCKER_HOST={machine.docker_host}")
        print(f"run folder {machine.folder}, QEMU's process {machine.info.pid}")
    if any(machine.image.recipe == guest for machine in machines):
        return 0
    built = "built" if image.current(guest) else "not built yet"
    print(f"{_not_running(guest)}; its image is {built}; start it with: {_command('up', guest)}")
    return 1


def _paths(arguments: argparse.Namespace) -> int:
    guest = _guest(arguments)
    built, machine = image.current(guest), detached.running(guest)
    print(f"image    {built.folder if built else '(not built)'}")
    print(f"run      {machine.folder if machine else '(not running)'}")
    if machine is not None:
        print(f"console  {machine.folder / 'console.log'}")
        print(f"qmp      {machine.folder / 'qmp'}")
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    command = _machine(arguments).ssh.interactive()
    os.execv(command[0], command)  # noqa: S606 - ssh replaces this process on the terminal


def _exec(arguments: argparse.Namespace) -> int:
    if not arguments.argv:
        raise LabError("there is no command to run", "for example: python -m lab exec ip link")
    command = _machine(arguments).ssh.command(tuple(arguments.argv))
    return subprocess.run(command, check=False).returncode


def _power_cut(arguments: argparse.Namespace) -> int:
    LabTestbed(_machine(arguments)).power_cut()
    return 0


def _unplug(arguments: argparse.Namespace) -> int:
    LabTestbed(_machine(arguments)).unplug(arguments.controller)
    return 0


def _replug(arguments: argparse.Namespace) -> int:
    testbed = LabTestbed(_machine(arguments))
    testbed.replug(arguments.controller)
    print(testbed.interface(arguments.controller))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    machine = _machine(arguments)
    print(machine.console() if arguments.which == "console" else LabTestbed(machine).journal())
    return 0


def _guest(arguments: argparse.Namespace) -> Recipe:
    return chosen(arguments.release, arguments.arch)


def _machine(arguments: argparse.Namespace) -> Machine:
    guest = _guest(arguments)
    machine = detached.running(guest)
    if machine is None:
        raise TestbedError(_not_running(guest), f"start it: {_command('up', guest)}")
    return machine


def _not_running(guest: Recipe) -> str:
    return f"the lab {guest.name} is not running"


def _command(name: str, guest: Recipe) -> str:
    """Return the command line of a command for a guest, as short as it can be."""
    default = chosen()
    release = f" --release {guest.release}" if guest.release != default.release else ""
    arch = f" --arch {guest.architecture}" if guest.architecture != default.architecture else ""
    return f"python -m lab {name}{release}{arch}"


def _plugin(arguments: argparse.Namespace) -> int:
    print(build_plugin(arguments.arch))
    return 0


def build_plugin(architecture: Architecture | None = None) -> plugin.Built:
    """Build the plugin on an engine of this machine, or without one on the lab's.

    Args:
        architecture: What to build it for; by default the architecture of that engine.

    Raises:
        ToolError: The plugin or the lab cannot be built.
    """
    try:
        return plugin.build(architecture=architecture)
    except NoEngineError:
        report("there is no engine to build on: using the lab's")
    with lab_testbed(chosen(architecture=architecture)) as lab:
        return plugin.build(lab.docker_host, architecture=architecture)


_COMMANDS: Final[dict[str, tuple[_Command, str]]] = {
    "build": (_build, "build the guest's image if necessary; print its folder"),
    "up": (_up, "boot a lab that keeps running; print its DOCKER_HOST"),
    "down": (_down, "stop the lab"),
    "status": (_status, "show the labs that run; the status is 1 if this one does not"),
    "ssh": (_ssh, "open a shell in the guest"),
    "exec": (_exec, "run a command in the guest, as root"),
    "power-cut": (_power_cut, "cut the guest's power; wait until its engine answers again"),
    "unplug": (_unplug, "unplug a CAN controller"),
    "replug": (_replug, "plug a CAN controller in again; print its interface"),
    "logs": (_logs, "print the engine's journal, or the guest's console"),
    "paths": (_paths, "print the lab's folders and files"),
    "plugin": (_plugin, "build the plugin; on the lab's engine if this machine has none"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A stock Debian machine with Docker and two CAN controllers, emulated. "
        f"The environment variable {VARIABLE} chooses it too: a release, with -arm64 behind it "
        "for that architecture.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, text) in _COMMANDS.items():
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.set_defaults(command=command)
        if name != "plugin":
            subparser.add_argument("--release", choices=RELEASES, help="its Debian release")
        subparser.add_argument("--arch", choices=ARCHITECTURES, help="its architecture")
        if name in {"unplug", "replug"}:
            subparser.add_argument("controller", type=int, choices=range(qemu.CONTROLLERS))
        elif name == "logs":
            subparser.add_argument(
                "which", nargs="?", choices=["console", "journal"], default="journal"
            )
        elif name == "exec":
            subparser.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 1 after an error, 2 if the usage is wrong."""
    arguments = _parser().parse_args(argv)
    command: _Command = arguments.command
    return exit_status(lambda: command(arguments))
