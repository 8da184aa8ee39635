"""Every error that evercan raises, as one tree.

::

    EvercanError
    ├── RequestError          what the engine or the user sent is wrong
    │   ├── OptionError       an option of a network or an endpoint
    │   └── UnknownNetwork    a network id that evercan has no state of
    ├── SettingsError         the daemon's own environment
    ├── StateError            the state file cannot be used or written
    │   └── StateUnreadable   the disk does not give it
    ├── CannotServe           the kernel could not be made as a call asked
    ├── InternalFault         a bug in evercan
    └── KernelError           the kernel returned an error
        └── ModuleMissing     because a module is not loaded

Every error has a ``text``, which names the thing and its value, and a ``remedy``, which
says what to do. ``libnetwork.server`` is the one place that turns an exception into the
engine's ``{"Err": …}``.
"""

from __future__ import annotations

import errno as errno_names
import os
from typing import Self

_SHOWN = 80


def shown(value: object) -> str:
    """Write a value as the user would recognise it, in at most 81 characters."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a very deep {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def named(name: str) -> str:
    """Write a name that somebody has chosen, on one line and in at most 81 characters."""
    name = printable(name)
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "…"


def printable(text: str) -> str:
    r"""Escape what a terminal or a log would act on: control, format and undecodable characters.

    A byte of an interface name that is no UTF-8 arrives as a lone surrogate, which JSON
    cannot have; it becomes ``\xfc``.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape", "backslashreplace").decode()


def number_of(number: int, thing: str) -> str:
    """Write ``1 rule``, ``3 rules``."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def symbol(code: int) -> str:
    """Name an errno as ``errno.h`` does."""
    # ENOTSUP has the same number, and is not what the kernel means.
    return "EOPNOTSUPP" if code == errno_names.EOPNOTSUPP else errno_names.errorcode.get(code, "?")


def spelled(code: int) -> str:
    """Write what an errno means."""
    return os.strerror(code)


class EvercanError(Exception):
    """The root of the tree; its text is written for the person who typed the command.

    Attributes:
        text: what happened, to what.
        remedy: what to do about it; empty if there is nothing to do.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        """Take what happened and what to do about it."""
        super().__init__(text, remedy)
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        """Write both as one sentence."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    def __copy__(self) -> Self:
        """Copy the error, so that each of several waiting calls raises one of its own."""
        copied = type(self).__new__(type(self), *self.args)
        copied.__dict__.update(self.__dict__)
        copied.__cause__ = self.__cause__
        return copied


class RequestError(EvercanError):
    """A request that cannot be carried out as it is; nothing was changed."""


class OptionError(RequestError):
    """A driver option that is unknown, malformed or impossible here.

    Attributes:
        option: its name, as the user wrote it.
    """

    def __init__(self, option: str, value: object, reason: str, remedy: str) -> None:
        """Name the option as the user wrote it, for example ``vxcan.id``."""
        super().__init__(f"option {named(option)}={shown(value)}: {reason}", remedy)
        self.option = option


class UnknownNetwork(RequestError):  # noqa: N818 - reads as the fact that it states
    """A network id that evercan has no state of."""

    def __init__(self, network_id: str) -> None:
        """Take the engine's network id (64 hex digits)."""
        super().__init__(
            f"network {network_id!r} is not in evercan's state: the state was lost, or another "
            "driver created the network",
            "on the host run 'evercan adopt' as root, which restores the engine's networks to "
            "the plugin, or remove the network and create it again (docker network rm, docker "
            "network create, or docker compose down && docker compose up)",
        )


class SettingsError(EvercanError):
    """Settings that cannot be used.

    Attributes:
        mistakes: a sentence for each setting that is wrong, not only for the first.
    """

    def __init__(self, mistakes: list[str]) -> None:
        """Take one sentence for each mistake."""
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class StateError(EvercanError):
    """The state file could not be read, understood or written."""


class StateUnreadable(StateError):  # noqa: N818 - reads as the fact that it states
    """The disk does not give the state file: the plugin waits until it does."""


class CannotServe(EvercanError):  # noqa: N818 - reads as the fact that it states
    """The kernel could not be made as a call asked; nothing of the call was left behind."""


class InternalFault(EvercanError):  # noqa: N818 - reads as the fact that it states
    """A bug in evercan; its cause is the exception that was raised."""

    def __init__(self, error: BaseException) -> None:
        """Take the exception that nothing handled."""
        super().__init__(f"internal fault: {error!r}", "the plugin's log has the traceback")
        self.__cause__ = error


class KernelError(EvercanError):
    """A netlink request failed.

    Attributes:
        code: the errno, positive, as in ``errno.h``.
    """

    def __init__(self, doing: str, code: int, remedy: str) -> None:
        """Take what was being done, with the interface's name in it."""
        super().__init__(f"{doing}: {spelled(code)} ({symbol(code)})", remedy)
        self.code = code


class ModuleMissing(KernelError):  # noqa: N818 - reads as the fact that it states
    """The kernel lacks a module, and a plugin may not load one (CAP_SYS_MODULE).

    Attributes:
        module: its name, as ``modprobe`` takes it.
    """

    def __init__(self, module: str) -> None:
        """Take the module's name as ``modprobe`` takes it, for example ``can-gw``."""
        super().__init__(
            f"the kernel has no {module}",
            errno_names.EOPNOTSUPP,
            f"on the host run 'modprobe {module}' and add {module} to "
            "/etc/modules-load.d/evercan.conf; if there is no such module, install the kernel "
            "package that has it (Ubuntu: linux-modules-extra-$(uname -r); Debian: "
            "linux-image-amd64 or linux-image-arm64, not the cloud kernel; Raspberry Pi OS: "
            "update the kernel)",
        )
        self.module = module
