"""Stores the declared state in one versioned file; writes are atomic and durable.

A write goes to a temporary file, which is fsynced; the former file is kept as the last
good copy, the new one is renamed to its name, and the folder is fsynced. So there is one
complete file whenever the power fails. A file that cannot be read is renamed, never
overwritten.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from pathlib import Path

from evercan.errors import StateError, StateUnreadable
from evercan.model.declared import Declared
from evercan.reconcile.state_format import VERSION, NewerVersionError, decode, encode

_log = logging.getLogger(__name__)


class StateFile:
    """The state file in one folder.

    Attributes:
        path: the file itself.
        writes: how many times it has been written by this process.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder, which exists: in the plugin, the propagated mount."""
        self.path = folder / "state.json"
        self._previous = folder / "state.previous.json"
        self._temporary = folder / "state.json.new"
        self.writes = 0

    def load(self) -> Declared:
        """Read the declared state; an empty one if there is no file yet.

        Raises:
            StateError: the file is of a newer version, or cannot be reached.
        """
        damaged = False
        for path in (self.path, self._previous):
            try:
                declared = decode(path.read_bytes())
            except FileNotFoundError:
                continue
            except NewerVersionError as error:
                raise StateError(
                    f"{path} has version {error.version}, and this evercan knows {VERSION}; the "
                    "file was left as it is",
                    "install the release that wrote it",
                ) from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                damaged = True
                try:
                    self._set_aside(path, error)
                except OSError as failed:
                    raise StateUnreadable(
                        f"{path} is damaged ({error}), and cannot be set aside: {failed.strerror}",
                        "make the folder writable; evercan tries again",
                    ) from failed
                continue
            except OSError as error:
                raise StateUnreadable(
                    f"cannot read {path}: {error.strerror}; the file was left as it is",
                    "see the host's kernel log for the disk, and repair it; evercan tries again",
                ) from error
            if damaged:
                _log.warning(
                    "State restored from the last good copy %s; later changes are missing: run "
                    "`evercan adopt`, which takes them from the engine's list",
                    path.name,
                )
            return declared
        if damaged:
            _log.error(
                "No good copy of the state is left: run `evercan adopt`, which restores the "
                "engine's networks and running containers; without it networks must be created "
                "again (docker compose down && docker compose up)"
            )
        return Declared()

    def _set_aside(self, path: Path, error: Exception) -> None:
        aside = path.with_name(
            f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        )
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{aside.name.split('~')[0]}~{number}")
        path.rename(aside)
        _log.error("State file %s is damaged (%s), set aside as %s", path.name, error, aside.name)

    def save(self, declared: Declared) -> None:
        """Write the declared state so that it survives a power cut from now on.

        Raises:
            StateError: it could not be written; the former file is unchanged.
        """
        try:
            with self._temporary.open("wb") as file:
                file.write(encode(declared))
                file.flush()
                os.fsync(file.fileno())
            if self.path.exists():
                self._previous.unlink(missing_ok=True)
                self._previous.hardlink_to(self.path)
            self._temporary.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            remedy = "free some space or make the folder writable, and try again"
            if error.errno == errno.EROFS:
                # The engine mounts the folder as it is when the plugin starts.
                remedy += "; if the disk is writable already, restart the plugin "
                remedy += "('docker plugin disable -f' and 'docker plugin enable')"
            raise StateError(f"cannot write {self.path}: {error.strerror}", remedy) from error
        self.writes += 1
