"""What can go wrong in the lab, always with what to do about it.

The tree:

LabError
├── MissingToolError   a program of another package is not installed
├── BuildError         the guest's disk could not be built
├── BootError          the machine did not come up, or stopped by itself
└── TestbedError       no machine to test on, or the machine cannot do what was asked
"""


class LabError(Exception):
    """Base of the lab's errors: what is wrong, and the remedy.

    Attributes:
        remedy: One sentence or command that puts it right.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  remedy: {self.remedy}" if self.remedy else message


class MissingToolError(LabError):
    """A program is not installed."""


class BuildError(LabError):
    """The guest's disk could not be built."""


class BootError(LabError):
    """The machine did not come up, or stopped by itself."""


class TestbedError(LabError):
    """No machine to test on, or it cannot do what was asked of it."""

    __test__ = False  # the name is no test case, whatever pytest thinks of it
