"""Describes a controller for ``/status``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evercan.model.controller import MODES, Controller


def describe(controller: Controller) -> Mapping[str, Any]:
    """Describe a controller in the terms of ``ip``; sample points are parts of a bit."""
    timing, traffic = controller.timing, controller.traffic
    return {
        "state": controller.state,
        "bitrate": timing.bitrate or None,
        "sample_point": timing.sample_point / 1000 or None,
        "dbitrate": timing.dbitrate or None,
        "dsample_point": timing.dsample_point / 1000 or None,
        "fd": controller.fd,
        "modes": [name for bit, name in MODES.items() if controller.modes & bit],
        "restart_ms": controller.restart_ms,
        "txqueuelen": controller.txqueuelen,
        "clock": controller.clock or None,
        "limits": controller.capabilities(),
        "errors": {"tx": controller.tx_errors, "rx": controller.rx_errors},
        "events": controller.events._asdict(),
        "traffic": None if traffic is None else traffic._asdict(),
    }
