"""Test that a link does without the module that takes the most memory."""

from __future__ import annotations

import os
import subprocess
import sys

from tools.common.checkout import ROOT

CODE = """
import evercan.link.__main__
from evercan.partial_import import deferred
print(deferred())
import ssl
assert ssl.create_default_context()
print(deferred())
"""


def test_a_link_runs_without_ssl_until_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.stdout.splitlines() == ["['ssl']", "[]"]
