"""Few modules are loaded before the first answer, so that the start is fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

# What a server on a unix socket does not need before its first answer, and which requirement
# would load it.
NOT_AT_START = {
    "aiohttp.client": "aiohttp's __init__",
    "aiohttp.connector": "aiohttp's __init__",
    "aiohttp.resolver": "aiohttp's __init__",
    "aiohttp.tracing": "aiohttp's __init__",
    "aiohttp.web": "aiohttp.web",
    "aiohttp.web_urldispatcher": "aiohttp.web",
    "aiosignal": "aiohttp's __init__",
    "http.server": "prometheus_client",
    "prometheus_client": "evercan.reporting.metrics",
    "pyroute2": "evercan.kernel.links",
    "pyroute2.netlink": "pyroute2's __init__",
    "wsgiref": "prometheus_client",
}
MODULES = 310
"""Modules other than evercan's that Python 3.11 to 3.13 load at the most."""


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    return run("import evercan.daemon; print(*sys.modules)")


@pytest.mark.parametrize("module", NOT_AT_START)
def test_a_module_that_is_not_needed_at_the_start_is_not_loaded(
    loaded: list[str], module: str
) -> None:
    assert module not in loaded, f"it is loaded by {NOT_AT_START[module]}"


def test_few_modules_are_loaded(loaded: list[str]) -> None:
    assert "aiohttp.web_server" in loaded
    assert len([name for name in loaded if not name.startswith("evercan")]) <= MODULES


def test_binding_loads_no_module_that_the_interpreter_has_not_loaded_itself() -> None:
    seen = run(
        "before = set(sys.modules); import evercan.__main__; print(*set(sys.modules) - before)"
    )
    assert set(seen) <= {"evercan", "evercan.__main__", "_socket", "gc"}


def test_aiohttp_is_loaded_completely_when_more_of_it_is_used() -> None:
    seen = run(
        "from evercan.libnetwork import web\n"
        "import aiohttp\n"
        "print('ClientSession' in vars(aiohttp), aiohttp.ClientSession.__name__)\n"
        "from aiohttp import web as whole\n"
        "print(whole.Response is web.Response, aiohttp.__version__ > '3')\n"
    )
    assert seen == ["False", "ClientSession", "True", "True"]


def test_an_aiohttp_that_is_loaded_already_is_used_as_it_is() -> None:
    seen = run(
        "import aiohttp\n"
        "from evercan.libnetwork import web\n"
        "print(sys.modules['aiohttp'] is aiohttp, hasattr(aiohttp, 'ClientSession'))\n"
    )
    assert seen == ["True", "True"]


def test_an_attribute_that_aiohttp_lacks_is_still_missing() -> None:
    seen = run(
        "from evercan.libnetwork import web\n"
        "import aiohttp\n"
        "print(hasattr(aiohttp, 'nothing_of_the_kind'))\n"
    )
    assert seen == ["False"]


def test_the_error_names_a_package_that_is_not_installed() -> None:
    seen = run(
        "from evercan import partial_import\n"
        "try:\n    partial_import.allow('not_installed')\n"
        "except ModuleNotFoundError as error:\n    print(error.name)\n"
    )
    assert seen == ["not_installed"]


def test_another_thread_gets_the_interpreter_within_a_millisecond() -> None:
    seen = run(
        "from evercan import daemon\ndaemon.yield_often()\nprint(sys.getswitchinterval() <= 0.001)"
    )
    assert seen == ["True"]
