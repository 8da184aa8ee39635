"""The errors of the lab and the testbeds.

LabError (a `tools.common.errors.ToolError`)
├── BootError      the machine did not boot, or stopped unexpectedly
├── QmpError       QEMU rejected a command or closed the connection (`lab.qmp`)
└── TestbedError   there is no machine to test on, or it cannot do what was requested
"""

from tools.common.errors import ToolError


class LabError(ToolError):
    """Base of the errors of the lab and the testbeds."""


class BootError(LabError):
    """The machine did not boot, or stopped unexpectedly."""


class TestbedError(LabError):
    """There is no machine to test on, or it cannot do what was requested."""

    __test__ = False  # pytest takes a name that begins with Test for a test case
