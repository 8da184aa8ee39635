"""The fake kernel behaves like the real one: the same cases, with the same result of every act.

On the host the cases run in a network namespace of their own, with the host's Python
and a copy of evercan and its netlink library.
"""

from __future__ import annotations

import errno
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyroute2
import pytest

import evercan
from lab.testbed import Testbed
from tests.e2e.kernel import kernel_version
from tests.support import conformance_runner
from tests.support.conformance_cases import CASES, MIXED_DUPLICATES, run_on_fake

RUN = """
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xz -C "$folder"
cd "$folder"
unshare --net python3 -B program.py <cases.json
"""


def archive(program: Path, data: bytes) -> bytes:
    """Pack a program, its ``cases.json``, evercan and its netlink library."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as packer:

        def add(folder: Path, name: str) -> None:
            for path in sorted(folder.rglob("*.py")):
                packer.add(path, f"{name}/{path.relative_to(folder)}")

        add(Path(evercan.__file__).parent, "evercan")
        add(Path(pyroute2.__file__).parent, "pyroute2")
        packer.add(program, "program.py")
        entry = tarfile.TarInfo("cases.json")
        entry.size = len(data)
        packer.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture(scope="module")
def real(testbed: Testbed) -> dict[str, list[dict[str, Any]]]:
    """Run every case on the real kernel; return what was observed after each act."""
    testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
    output = testbed.host(
        "sh",
        "-c",
        RUN,
        stdin=archive(Path(conformance_runner.__file__), json.dumps(CASES).encode()),
        timeout=240,
    ).stdout
    observed: dict[str, list[dict[str, Any]]] = json.loads(output)
    if kernel_version(testbed) < (6, 3):
        for result in (result for case in observed.values() for result in case):
            if result["code"] == errno.EDOM:
                result["code"] = errno.EINVAL  # what Linux 6.3 and newer answer to a bad bitrate
    return observed


@pytest.mark.parametrize("name", CASES)
def test_the_fake_kernel_behaves_like_the_real_one(
    real: dict[str, list[dict[str, Any]]], name: str
) -> None:
    if name not in real:
        pytest.skip("this host has no controller for the test; the lab has one")
    mixes = all(result["code"] != errno.EINVAL for result in real[MIXED_DUPLICATES])
    fake = json.loads(json.dumps(run_on_fake(CASES[name], mixes_duplicates=mixes)))
    for expected, observed in zip(fake, real[name], strict=True):
        assert expected == observed, f"after {observed['act']}"
