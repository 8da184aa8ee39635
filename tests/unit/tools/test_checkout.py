"""In a checkout ``python -m build`` runs PyPA's builder, although there is a folder ``build``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.common.checkout import ROOT


def python(*arguments: str, **variables: str) -> str:
    """Run Python in the checkout's root folder, as a user does; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | variables,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_the_folder_build_contains_no_python_file() -> None:
    assert list((ROOT / "build").rglob("*.py")) == []


def test_no_module_of_this_project_is_imported_as_build() -> None:
    program = "import importlib.util as u; s = u.find_spec('build'); print(s and s.origin or '')"
    assert not python("-c", program).startswith(f"{ROOT}{os.sep}build")


def test_an_installed_package_named_build_is_found_before_the_folder(tmp_path: Path) -> None:
    package = tmp_path / "build"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("print('the installed builder')")
    assert python("-m", "build", PYTHONPATH=str(tmp_path)) == "the installed builder"
