"""What differs between the kernels that the tests run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.testbed import Testbed


def kernel_version(testbed: Testbed) -> tuple[int, int]:
    """Return the first two numbers of the host's kernel release."""
    major, minor = testbed.host("uname", "-r").stdout.decode().split(".")[:2]
    return int(major), int(minor.partition("-")[0])
