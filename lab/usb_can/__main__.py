"""The command line, on the machine that is to have the adapters, as root.

    python3 -m lab.usb_can serve FD0=gs_usb FD1=gs_usb-classic RE0=ucan
    python3 -m lab.usb_can plug FD0
    python3 -m lab.usb_can say FD0 bus-off

``serve`` prints ``ready`` and runs until it is stopped; then all adapters are unplugged. A serial
number is anything without spaces. The kernel needs vhci-hcd and the adapters' drivers.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.usb_can.interfaces import interface_of, wait_for_interface
from lab.usb_can.service import MODELS, STATES, Adapters, CommandError, listen, tell

SOCKET = Path("/run/evercan-usb-can.sock")
"""Where ``serve`` takes the other commands."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, or 1 after an error."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except (CommandError, OSError) as error:
        print(f"usb_can: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "serve":
            with listen(arguments.socket) as control:
                print("ready", flush=True)
                Adapters(arguments.adapters).serve(control)
        case "say":
            counters = [str(counter) for counter in arguments.counters]
            tell(arguments.socket, [arguments.serial, arguments.state, *counters])
        case "interface":
            print(interface_of(arguments.serial))
        case word:
            tell(arguments.socket, [arguments.serial, word])
            print(wait_for_interface(arguments.serial, present=word == "plug"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m lab.usb_can",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--socket", type=Path, default=SOCKET)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="play adapters on one wire, not plugged in")
    serve.add_argument("adapters", nargs="+", type=_adapter, metavar="SERIAL=MODEL")
    for name, text in (
        ("plug", "plug an adapter in; print its interface"),
        ("unplug", "pull an adapter out"),
        ("interface", "print an adapter's interface, or nothing"),
        ("say", "let an adapter report an error state"),
    ):
        commands.add_parser(name, help=text).add_argument("serial", metavar="SERIAL")
    say = commands.choices["say"]
    say.add_argument("state", choices=STATES)
    say.add_argument("counters", nargs="*", type=int, metavar="TX RX")
    return parser


def _adapter(text: str) -> tuple[str, str]:
    serial, _, model = text.partition("=")
    if not serial or model not in MODELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not SERIAL=MODEL with one of the models {', '.join(MODELS)}"
        )
    return serial, model


if __name__ == "__main__":
    sys.exit(main())
