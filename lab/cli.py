"""The command line of the lab: ``python -m lab COMMAND``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from lab import detached, image, qemu
from lab.errors import LabError, TestbedError
from lab.lab_testbed import LabTestbed
from lab.machine import Machine
from lab.testbed import lab_testbed
from tools import plugin
from tools.common.errors import NoEngineError, ToolError
from tools.common.progress import report

_Command = Callable[[argparse.Namespace], int]


def _build(_: argparse.Namespace) -> int:
    print(image.ensure().folder)
    return 0


def _up(_: argparse.Namespace) -> int:
    machine = detached.up()
    print(f"export DOCKER_HOST={machine.docker_host}")
    print(
        f"{LabTestbed(machine).name} is running; stop it with: python -m lab down", file=sys.stderr
    )
    return 0


def _down(_: argparse.Namespace) -> int:
    print("stopped" if detached.down() else "no lab is running")
    return 0


def _status(_: argparse.Namespace) -> int:
    machine = detached.running()
    if machine is None:
        built = "built" if image.current() else "not built yet"
        print(f"no lab is running; its image is {built}; start it with: python -m lab up")
        return 1
    print(LabTestbed(machine).name)
    if not detached.is_current(machine):
        print("its image is out of date; to replace it: python -m lab up")
    print(f"DOCKER_HOST={machine.docker_host}")
    print(f"run folder {machine.folder}, QEMU's process {machine.info.pid}")
    return 0


def _paths(_: argparse.Namespace) -> int:
    built, machine = image.current(), detached.running()
    print(f"image    {built.folder if built else '(not built)'}")
    print(f"run      {machine.folder if machine else '(not running)'}")
    if machine is not None:
        print(f"console  {machine.folder / 'console.log'}")
        print(f"qmp      {machine.folder / 'qmp'}")
    return 0


def _ssh(_: argparse.Namespace) -> int:
    command = _machine().ssh.interactive()
    os.execv(command[0], command)  # noqa: S606 - ssh replaces this process on the terminal


def _exec(arguments: argparse.Namespace) -> int:
    if not arguments.argv:
        raise LabError("there is no command to run", "for example: python -m lab exec ip link")
    return subprocess.run(_machine().ssh.command(tuple(arguments.argv)), check=False).returncode


def _power_cut(_: argparse.Namespace) -> int:
    LabTestbed(_machine()).power_cut()
    return 0


def _unplug(arguments: argparse.Namespace) -> int:
    LabTestbed(_machine()).unplug(arguments.controller)
    return 0


def _replug(arguments: argparse.Namespace) -> int:
    testbed = LabTestbed(_machine())
    testbed.replug(arguments.controller)
    print(testbed.interface(arguments.controller))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    machine = _machine()
    print(machine.console() if arguments.which == "console" else LabTestbed(machine).journal())
    return 0


def _machine() -> Machine:
    machine = detached.running()
    if machine is None:
        raise TestbedError("no lab is running", "start it: python -m lab up")
    return machine


def _plugin(_: argparse.Namespace) -> int:
    print(build_plugin())
    return 0


def build_plugin() -> plugin.Built:
    """Build the plugin on an engine of this machine, or without one on the lab's.

    Raises:
        ToolError: The plugin or the lab cannot be built.
    """
    try:
        return plugin.build()
    except NoEngineError:
        report("there is no engine to build on: using the lab's")
    with lab_testbed() as lab:
        return plugin.build(lab.docker_host)


_COMMANDS: Final[dict[str, tuple[_Command, str]]] = {
    "build": (_build, "build the guest's image if necessary; print its folder"),
    "up": (_up, "boot a lab that keeps running; print its DOCKER_HOST"),
    "down": (_down, "stop the lab"),
    "status": (_status, "show whether the lab runs"),
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
        description="A stock Debian machine with Docker and two CAN controllers, emulated.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, text) in _COMMANDS.items():
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.set_defaults(command=command)
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
    try:
        return command(arguments)
    except ToolError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
