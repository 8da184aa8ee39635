"""Keeps the declared state on disk: writes it when it has changed, and reports if it cannot."""

from __future__ import annotations

from evercan.errors import StateError
from evercan.model.declared import Declared
from evercan.model.problems import Problem
from evercan.reconcile.state_file import StateFile
from evercan.values import replace


class SavedIntent:
    """The declared state as it is on disk.

    Attributes:
        problems: that it could not be written, from a failure until a write succeeds.
    """

    def __init__(self, file: StateFile) -> None:
        """Take the file that it is kept in."""
        self._file = file
        self._saved = Declared()
        self.problems: tuple[Problem, ...] = ()

    @property
    def writes(self) -> int:
        """How often it was written."""
        return self._file.writes

    def load(self) -> Declared:
        """Read what an earlier process has left.

        Raises:
            StateError: it cannot be used.
        """
        self._saved = self._file.load()
        return self._saved

    def save(self, declared: Declared) -> None:
        """Write the declared state if it has changed, or if the last write failed.

        Raises:
            StateError: it has changed, and cannot be written.
        """
        # A retired name that no longer exists does no harm on disk: it is not worth a write.
        changed = replace(declared, retired=self._saved.retired) != self._saved or not (
            declared.retired <= self._saved.retired
        )
        if not changed and not self.problems:
            return
        try:
            self._file.save(declared)
        except StateError as error:
            self.problems = (Problem.of_error(error),)
            if changed:
                raise
            return  # what is wanted is on disk already, so repairs go on
        self.problems = ()
        self._saved = declared

    def save_derived(self, declared: Declared) -> None:
        """Write what was derived from an observation; go on if that fails.

        What is derived is derived again after a crash, so a repair need not wait for a
        disk that is full or read-only. The failure is in ``problems``.
        """
        try:
            self.save(declared)
        except StateError:
            return
