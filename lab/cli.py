"""The command line: ``python -m lab COMMAND``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from lab import detached, image, qemu
from lab.errors import LabError, TestbedError
from lab.machine import Machine
from lab.on_lab import LabTestbed

_Command = Callable[[argparse.Namespace], int]


def _build(_: argparse.Namespace) -> int:
    print(image.ensure().folder)
    return 0


def _up(_: argparse.Namespace) -> int:
    machine = detached.up()
    print(f"export DOCKER_HOST={machine.docker_host}")
    print(f"{LabTestbed(machine).name} is up; stop it with: python -m lab down", file=sys.stderr)
    return 0


def _down(_: argparse.Namespace) -> int:
    print("stopped" if detached.down() else "no lab was running")
    return 0


def _status(_: argparse.Namespace) -> int:
    machine = detached.running()
    if machine is None:
        built = "built" if image.present() else "not built yet"
        print(f"no lab is running; its image is {built}. Start it with: python -m lab up")
        return 1
    print(LabTestbed(machine).name)
    if not detached.is_current(machine):
        print("its image is out of date: python -m lab up replaces it")
    print(f"DOCKER_HOST={machine.docker_host}")
    print(f"run folder {machine.folder}, QEMU's process {machine.record.pid}")
    return 0


def _paths(_: argparse.Namespace) -> int:
    built, machine = image.present(), detached.running()
    print(f"image    {built.folder if built else '(not built)'}")
    print(f"run      {machine.folder if machine else '(not running)'}")
    if machine is not None:
        print(f"console  {machine.folder / 'console.log'}")
        print(f"qmp      {machine.folder / 'qmp'}")
    return 0


def _ssh(_: argparse.Namespace) -> int:
    command = _machine().ssh.interactive()
    os.execv(command[0], command)  # noqa: S606  the terminal is handed over whole


def _exec(arguments: argparse.Namespace) -> int:
    if not arguments.argv:
        raise LabError("nothing to run", "python -m lab exec ip link")
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
        raise TestbedError("no lab is running", "python -m lab up")
    return machine


_COMMANDS: Final[dict[str, tuple[_Command, str]]] = {
    "build": (_build, "build the guest's disk, if it is not there; print where it is"),
    "up": (_up, "boot a lab that keeps running; print its DOCKER_HOST"),
    "down": (_down, "switch it off"),
    "status": (_status, "say whether it runs"),
    "ssh": (_ssh, "open a shell in it"),
    "exec": (_exec, "run a command in it, as root"),
    "power-cut": (_power_cut, "take its power away; wait until its engine is back"),
    "unplug": (_unplug, "unplug a CAN controller"),
    "replug": (_replug, "plug it in again; print its interface"),
    "logs": (_logs, "print its console or its engine's journal"),
    "paths": (_paths, "print where its files are"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A stock Debian machine with Docker and two CAN controllers, emulated.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, text) in _COMMANDS.items():
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        if name in {"unplug", "replug"}:
            one.add_argument("controller", type=int, choices=range(qemu.CONTROLLERS))
        elif name == "logs":
            one.add_argument("which", nargs="?", choices=["console", "journal"], default="journal")
        elif name == "exec":
            one.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 if it could not be done, 2 if misspelt."""
    arguments = _parser().parse_args(argv)
    command: _Command = arguments.command
    try:
        return command(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
