from __future__ import annotations

import pytest

from evercan.model.controller import FD, LISTEN_ONLY, Controller, ControllerSettings
from evercan.model.controller_match import lacks_mode

FD_SETTINGS = ControllerSettings(bitrate=500_000, fd=True, dbitrate=2_000_000)


@pytest.mark.parametrize(
    ("supported", "settings", "lacks"),
    [
        (LISTEN_ONLY, FD_SETTINGS, True),
        (FD | LISTEN_ONLY, FD_SETTINGS, False),
        (FD, ControllerSettings(listen_only=True), True),
        (0, ControllerSettings(bitrate=500_000, fd=False, listen_only=False), False),
        (None, FD_SETTINGS, False),  # an old kernel, which does not say
    ],
)
def test_a_mode_that_the_controller_lacks_is_known_before_it_is_asked_for(
    supported: int | None, settings: ControllerSettings, lacks: bool
) -> None:
    assert lacks_mode(settings, Controller(supported=supported)) is lacks
