"""The folders of the lab."""

from pathlib import Path
from typing import Final

from tools.common.cache import cache_dir

HERE: Final = Path(__file__).resolve().parent
"""The lab's source folder."""


def lab_cache() -> Path:
    """Return the folder of everything that the lab keeps between runs; make it if missing."""
    return cache_dir("lab")
