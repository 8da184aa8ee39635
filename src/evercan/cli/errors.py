"""Errors that end a command: each says what is wrong and what to do.

CliError
├── NoEngine      no engine answers
├── Rejected      the engine rejects a request
├── NoAccess      more privilege is needed
├── NoPlugin      the engine has no enabled evercan
├── NoNetwork     evercan has no network of that name
└── NoAnswer      the plugin is enabled and does not answer
"""

from __future__ import annotations

from collections.abc import Iterable

ENDED_BY_ERROR, INTERRUPTED, OUTPUT_CLOSED = 2, 130, 141
"""Exit statuses: an error; Ctrl-C; the reader of the output has closed it."""


class CliError(Exception):
    """An error that is shown in one sentence, without a traceback.

    Attributes:
        text: what is wrong.
        remedy: what to do; empty if the text is all there is to say.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        """Take what is wrong, and what to do."""
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.text = text
        self.remedy = remedy


class NoEngine(CliError):  # noqa: N818 - named for the fact that it states
    """No engine answers, or it rejects the connection.

    Attributes:
        where: its address; empty if not even that is known.
    """

    def __init__(self, text: str, remedy: str = "", where: str = "") -> None:
        """Take what is wrong, what to do, and the engine's address."""
        super().__init__(text, remedy)
        self.where = where


class Rejected(CliError):  # noqa: N818 - the same
    """The engine rejects a request."""


class NoAccess(CliError):  # noqa: N818 - the same
    """This process lacks the privilege."""


class NoPlugin(CliError):  # noqa: N818 - the same
    """The engine has no enabled evercan."""


class NoNetwork(CliError):  # noqa: N818 - the same
    """Evercan has no network of this name."""

    def __init__(self, name: str, known: Iterable[str], plugin: str) -> None:
        """Take its name, the names that there are, and a plugin that could have it."""
        networks = ", ".join(sorted(known))
        super().__init__(
            f'no CAN network "{name}"',
            f"networks: {networks}"
            if networks
            else f"create it: docker network create -d {plugin} --ipam-driver null {name}",
        )


class NoAnswer(CliError):  # noqa: N818 - the same
    """The plugin is enabled and does not answer."""
