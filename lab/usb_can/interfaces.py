"""Finds the network interface that the kernel has made for an adapter."""

import time
from pathlib import Path
from typing import Final

_DEVICES: Final = Path("/sys/bus/usb/devices")
_PATIENCE: Final = 30.0
_POLL: Final = 0.05


def interface_of(serial: str, devices: Path = _DEVICES) -> str:
    """Return the interface of the USB device with a serial number; empty if there is none."""
    for file in devices.glob("*/serial"):
        try:
            found = file.read_text(encoding="utf-8").strip() == serial
        except OSError:
            continue  # it is being pulled out
        if found:
            return next((net.name for net in file.parent.glob("*/net/*")), "")
    return ""


def wait_for_interface(serial: str, *, present: bool) -> str:
    """Wait until an adapter's interface exists, or no longer does; return its name.

    Raises:
        TimeoutError: that took longer than 30 seconds.
    """
    deadline = time.monotonic() + _PATIENCE
    while bool(found := interface_of(serial)) is not present:
        if time.monotonic() > deadline:
            what = "has no interface" if present else f"still has the interface {found}"
            raise TimeoutError(f"{serial} {what} after {_PATIENCE:.0f} s")
        time.sleep(_POLL)
    return found
