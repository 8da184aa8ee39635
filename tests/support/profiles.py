"""Set the effort of the property tests: EVERCAN_HYPOTHESIS=long runs many random examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=2000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def load() -> None:
    """Load the profile that EVERCAN_HYPOTHESIS names."""
    settings.load_profile(os.environ.get("EVERCAN_HYPOTHESIS") or "short")
