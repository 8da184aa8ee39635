"""Installs the program of `fake_docker.py` as ``docker`` in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_docker.py")


def install(folder: Path) -> None:
    """Write ``docker`` into a folder; it runs under this interpreter, without its packages."""
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {SOURCE} "$@"\n')
    program.chmod(0o755)
