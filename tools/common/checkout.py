"""Where this checkout and its build results are."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout's root folder."""

DIST: Final = ROOT / "dist"
"""The folder of everything that is built in the checkout."""
