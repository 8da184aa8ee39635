"""The errors of the tools and the lab: each has a text and a remedy.

ToolError
├── MissingProgramError   a program of a Debian package is not installed
├── EngineError           no Docker engine answers at an address
├── BuildError            an image, a disk, a package or the documentation could not be built
│   └── NoEngineError     there is no Docker engine to build on
└── LabError              see `lab.errors`
"""


class ToolError(Exception):
    """Report what is wrong and what to do about it.

    Attributes:
        text: What is wrong, without a full stop.
        remedy: What to do: a sentence or a command.
    """

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text, remedy)
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text}\nremedy: {self.remedy}"


class MissingProgramError(ToolError):
    """A program of a Debian package is not installed."""


class EngineError(ToolError):
    """No Docker engine answers at an address."""


class BuildError(ToolError):
    """Something could not be built."""


class NoEngineError(BuildError):
    """There is no Docker engine to build on."""
