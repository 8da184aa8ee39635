"""The example project of evercan[testing] passes on the engine's host, as its users run it."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from pathlib import Path

import pytest

import evercan
from lab.testbed import Testbed
from tools.common.checkout import ROOT

FOLDER = "/tmp/evercan-pytest"  # noqa: S108 - on the testbed
PACKAGES = (
    *("_pytest", "can", "certifi", "charset_normalizer", "click", "docker", "dotenv", "idna"),
    *("iniconfig", "markdown_it", "mdurl", "packaging", "pluggy", "py", "pygments"),
    *(
        "pytest",
        "requests",
        "rich",
        "rich_click",
        "testcontainers",
        "typing_extensions",
        "urllib3",
        "wrapt",
    ),
)
"""What ``pip install 'evercan[testing]'`` installs, as far as the fixtures import it."""


def _packed() -> bytes:
    """Return these packages, evercan and the example in a tar archive."""

    def without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        # The host has another version of Python; the packages have all they need in Python.
        unwanted = member.name.endswith((".pyc", ".so")) or "__pycache__" in member.name
        return None if unwanted else member

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name in PACKAGES:
            found = importlib.util.find_spec(name)
            assert found is not None, name
            assert found.origin is not None, name
            origin = Path(found.origin)
            path = origin.parent if origin.name == "__init__.py" else origin
            tar.add(path, path.name, filter=without_caches)
        for metadata in Path(pytest.__file__).parents[1].glob("*.dist-info"):
            tar.add(metadata, metadata.name)
        tar.add(Path(evercan.__file__).parent, "evercan", filter=without_caches)
        tar.add(ROOT / "examples/pytest", "example", filter=without_caches)
    return packed.getvalue()


def test_the_example_project_passes_on_the_engines_host(testbed: Testbed) -> None:
    unpack = f"rm -rf {FOLDER}; mkdir {FOLDER}; tar -xzf - -C {FOLDER}"
    testbed.host("sh", "-c", unpack, stdin=_packed(), timeout=120)
    try:
        done = testbed.host(
            *("env", f"PYTHONPATH={FOLDER}", "TESTCONTAINERS_RYUK_DISABLED=true"),
            # Plugins of other packages, which were not packed, have their metadata there too.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1",
            *("PYTHONDONTWRITEBYTECODE=1", "python3", "-m", "pytest", "-rs", "--evercan-required"),
            *("-p", "evercan.cli.pytest_plugin", "-p", "no:cacheprovider", f"{FOLDER}/example"),
            check=False,
            timeout=180,
        )
    finally:
        testbed.host("rm", "-rf", FOLDER)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    assert "2 passed" in text
