"""The fake kernel does as the real one: the same plays, seen alike after every act.

On the host the plays are performed in a network namespace of their own, with the
host's Python and what evercan says to the kernel with, shipped there.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyroute2
import pytest

import evercan
from lab.testbed import Testbed
from tests.support import conformance_runner
from tests.support.conformance_cases import PLAYS, perform_on_fake

_PERFORM = """
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xz -C "$folder"
cd "$folder"
unshare --net python3 -B conformance_runner.py <plays.json
"""


def _luggage() -> bytes:
    """Pack the stage, the plays, evercan and its link codec."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:

        def add(folder: Path, name: str) -> None:
            for path in sorted(folder.rglob("*.py")):
                archive.add(path, f"{name}/{path.relative_to(folder)}")

        add(Path(evercan.__file__).parent, "evercan")
        add(Path(pyroute2.__file__).parent, "pyroute2")
        archive.add(conformance_runner.__file__, "conformance_runner.py")
        plays = json.dumps(PLAYS).encode()
        entry = tarfile.TarInfo("plays.json")
        entry.size = len(plays)
        archive.addfile(entry, io.BytesIO(plays))
    return packed.getvalue()


@pytest.fixture(scope="module")
def real(testbed: Testbed) -> dict[str, list[dict[str, Any]]]:
    """What was seen of every play on the real kernel."""
    testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
    seen = testbed.host("sh", "-c", _PERFORM, stdin=_luggage(), timeout=240)
    return dict(json.loads(seen.stdout))


@pytest.mark.parametrize("name", PLAYS)
def test_the_fake_kernel_does_as_the_real_one(
    real: dict[str, list[dict[str, Any]]], name: str
) -> None:
    if name not in real:
        pytest.skip("this host has no controller to play with; the lab has")
    fake = json.loads(json.dumps(perform_on_fake(PLAYS[name])))
    for expected, seen in zip(fake, real[name], strict=True):
        assert expected == seen, f"after {seen['act']}"
