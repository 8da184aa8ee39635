"""Run the cells of a notebook in this process, in order, as one module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools.common.checkout import ROOT

NOTEBOOK = ROOT / "examples/notebook/drive.ipynb"


def notebook_folder(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Return the new current folder, in which the notebook is as in a checkout.

    Args:
        folder: an empty folder.
        patch: what changes the current folder and the environment.
    """
    (folder / "python-can").symlink_to(ROOT / "examples/python-can")
    current = folder / "notebook"
    current.mkdir()
    patch.chdir(current)
    patch.setenv("MPLBACKEND", "Agg")  # draws without a screen
    return current


def code_cells(file: Path) -> list[Any]:
    """Return the code cells of a notebook, which is checked against its format's schema."""
    notebook = nbformat.read(file, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call] # no types
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_notebook(file: Path, **parameters: object) -> dict[str, Any]:
    """Run a notebook in the current folder, and return its variables.

    Args:
        file: the notebook.
        parameters: what to set after the cell with the tag ``parameters``, which has these names.
    """
    variables: dict[str, Any] = {}
    for number, cell in enumerate(code_cells(file)):
        exec(compile(cell.source, f"{file.name}, cell {number}", "exec"), variables)  # noqa: S102
        if "parameters" in cell.metadata.get("tags", ()):
            assert set(parameters) <= set(variables), "the notebook has no such parameters"
            variables |= parameters
    return variables
