"""Interfaces that the host itself creates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.testbed import Testbed


@contextmanager
def vcan(testbed: Testbed, *names: str, mtu: int = 72) -> Iterator[None]:
    """Create interfaces of the host's own for the duration of a block."""
    for name in names:
        testbed.host("sh", "-c", f"ip link add {name} type vcan && ip link set {name} mtu {mtu} up")
    try:
        yield
    finally:
        for name in names:
            testbed.host("ip", "link", "del", name, check=False)
