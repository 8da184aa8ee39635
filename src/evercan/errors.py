"""Everything evercan can refuse or fail at, as one tree.

::

    EvercanError
    ├── RequestError          what the engine or the user sent is wrong
    │   ├── OptionError       an option of a network or an endpoint
    │   └── UnknownNetwork    a network id that is not on record
    ├── SettingsError         the daemon's own environment
    ├── StateError            the state file cannot be used or written
    ├── InternalFault         evercan's own
    └── KernelError           the kernel said no
        └── ModuleMissing     because a module is not loaded

Every message names the thing, its value, and what to do; ``protocol`` is the
one place that turns an exception into the engine's ``{"Err": …}``.
"""

from __future__ import annotations

import errno as errno_names
import os

_SHOWN = 80


def shown(value: object) -> str:
    """Write a value as the user would recognise it, in at most 81 characters."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a very deep {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def number_of(number: int, thing: str) -> str:
    """Write ``1 rule``, ``3 rules``."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def symbol(code: int) -> str:
    """Name an errno as ``errno.h`` does."""
    # Two names have one number, and the other is not the kernel's.
    return "EOPNOTSUPP" if code == errno_names.EOPNOTSUPP else errno_names.errorcode.get(code, "?")


def spelled(code: int) -> str:
    """Write what an errno means."""
    return os.strerror(code)


class EvercanError(Exception):
    """The root: its text is fit for the person who typed the command."""


class RequestError(EvercanError):
    """A request that cannot be carried out as it stands; nothing was changed."""


class OptionError(RequestError):
    """A driver option that is unknown, malformed or impossible here."""

    def __init__(self, option: str, value: object, reason: str, remedy: str) -> None:
        """Name the option as the user wrote it, for example ``vxcan.id``."""
        name = option if len(option) <= _SHOWN else option[:_SHOWN] + "…"
        super().__init__(f"option {name}={shown(value)}: {reason}; {remedy}")
        self.option = option


class UnknownNetwork(RequestError):  # noqa: N818 - reads as the fact that it states
    """A network id that evercan holds no record of."""

    def __init__(self, network_id: str) -> None:
        """Take the engine's network id (64 hex digits)."""
        super().__init__(
            f"network {network_id!r} is not on record: its state was lost or it was made by "
            "another driver; on the host run 'evercan adopt' as root, which gives the engine's "
            "networks back to the plugin, or remove it and create it again (docker network rm, "
            "docker network create, or docker compose down && docker compose up)"
        )


class SettingsError(EvercanError):
    """Settings that cannot be used; lists every mistake, not only the first."""

    def __init__(self, mistakes: list[str]) -> None:
        """Take one sentence a mistake."""
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class StateError(EvercanError):
    """The state file could not be read, understood or written."""


class InternalFault(EvercanError):  # noqa: N818 - as above
    """A fault of evercan itself; its cause is what was raised."""

    def __init__(self, error: BaseException) -> None:
        """Take what nobody had thought of."""
        super().__init__(f"internal fault: {error!r}; the plugin's log has the traceback")
        self.__cause__ = error


class KernelError(EvercanError):
    """A netlink request failed.

    Attributes:
        code: the errno, positive, as in ``errno.h``.
    """

    def __init__(self, doing: str, code: int, remedy: str) -> None:
        """Say what was being done, with the interface's name in it."""
        super().__init__(f"{doing}: {spelled(code)} ({symbol(code)}); {remedy}")
        self.code = code


class ModuleMissing(KernelError):  # noqa: N818 - reads as the fact that it states
    """The kernel lacks a module, and a plugin may not load one (CAP_SYS_MODULE)."""

    def __init__(self, module: str) -> None:
        """Take the module's name as ``modprobe`` wants it, for example ``can-gw``."""
        super().__init__(
            f"the kernel has no {module}",
            errno_names.EOPNOTSUPP,
            f"on the host run 'modprobe {module}' and put {module} into "
            "/etc/modules-load.d/evercan.conf; if there is no such module, install the kernel "
            "package that has it (Ubuntu: linux-modules-extra-$(uname -r); Debian: "
            "linux-image-amd64 or linux-image-arm64, not the cloud kernel)",
        )
        self.module = module
