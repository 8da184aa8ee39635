"""What ends a command: one sentence that says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable

ENDED_BY_ERROR, INTERRUPTED, UNREAD = 2, 130, 141
"""Exit statuses: a sentence on standard error; Ctrl-C; who read the output has gone."""


class CliError(Exception):
    """Its text is shown as it is; nobody sees a traceback."""


class NoEngine(CliError):  # noqa: N818 - reads as the fact that it states
    """No engine can be asked: none answers, or it does not let us in.

    Attributes:
        where: its address; empty if not even that is known.
    """

    def __init__(self, text: str, where: str = "") -> None:
        """Take the sentence, and the address that was asked."""
        super().__init__(text)
        self.where = where


class NoAccess(CliError):  # noqa: N818 - the same
    """What was asked for is there and needs more privilege than this process has."""


class NoPlugin(CliError):  # noqa: N818 - the same
    """The engine has no evercan that could be asked."""


class NoNetwork(CliError):  # noqa: N818 - the same
    """A network that evercan does not have."""

    def __init__(self, name: str, known: Iterable[str], plugin: str) -> None:
        """Take its name, those that there are, and whose network it could be."""
        make = f"none yet: docker network create -d {plugin} --ipam-driver null {name}"
        super().__init__(f"evercan has no network {name}; it has {', '.join(known) or make}")


class Silent(CliError):  # noqa: N818 - the same
    """The plugin is enabled and does not answer."""
