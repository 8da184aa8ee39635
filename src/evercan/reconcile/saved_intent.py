"""The intent as it is on disk, and whether it can be kept there."""

from __future__ import annotations

from dataclasses import replace

from evercan.errors import StateError
from evercan.model import Declared
from evercan.store import Store
from evercan.troubles import Problem, Trouble


class Record:
    """Writes what is wanted, if it has changed.

    Attributes:
        problems: that it could not be written, from a failure on until a write succeeds.
    """

    def __init__(self, store: Store) -> None:
        """Take where it is kept."""
        self._store = store
        self._saved = Declared()
        self.problems: tuple[Problem, ...] = ()

    @property
    def writes(self) -> int:
        """How often it was written."""
        return self._store.writes

    def load(self) -> Declared:
        """Read what an earlier life has left.

        Raises:
            StateError: it cannot be used.
        """
        self._saved = self._store.load()
        return self._saved

    def save(self, declared: Declared) -> None:
        """Write the intent if it has changed, or if it is not sure that it can be written.

        Raises:
            StateError: it has changed, and cannot be written.
        """
        # A retired name that is gone is harmless on disk: it is not worth a write.
        changed = replace(declared, retired=self._saved.retired) != self._saved or not (
            declared.retired <= self._saved.retired
        )
        if not changed and not self.problems:
            return
        try:
            self._store.save(declared)
        except StateError as error:
            self.problems = (Problem(kind=Trouble.REFUSED, bus="", text=str(error)),)
            if changed:
                raise
            return  # what is wanted is on disk: what broke can be mended meanwhile
        self.problems = ()
        self._saved = declared
