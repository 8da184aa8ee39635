"""Marks those values of a parameter as thorough that ``make test`` leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def only_quick(quick: Iterable[object], values: Iterable[Any]) -> list[Any]:
    """Return all values for ``parametrize``, and mark those that are not quick."""
    kept = set(quick)
    return [
        value if value in kept else pytest.param(value, marks=pytest.mark.thorough)
        for value in values
    ]
