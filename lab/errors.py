"""The errors of the lab and the testbeds, and how its commands report them.

LabError (a `tools.common.errors.ToolError`)
├── BootError      the machine did not boot, or stopped unexpectedly
├── QmpError       QEMU rejected a command or closed the connection (`lab.qmp`)
└── TestbedError   there is no machine to test on, or it cannot do what was requested
    └── UnreachableError   the lab's guest does not answer, as when it has crashed
"""

import sys
from collections.abc import Callable

from tools.common.errors import ToolError


class LabError(ToolError):
    """Base of the errors of the lab and the testbeds."""


class BootError(LabError):
    """The machine did not boot, or stopped unexpectedly."""


class TestbedError(LabError):
    """There is no machine to test on, or it cannot do what was requested."""

    __test__ = False  # pytest takes a name that begins with Test for a test case


class UnreachableError(TestbedError):
    """The lab's guest does not answer, as when it has crashed."""


def exit_status(command: Callable[[], int]) -> int:
    """Run a command of the lab; return its status, 1 after an error, or 130 after Ctrl-C."""
    try:
        return command()
    except ToolError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
