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
MODULES = 260
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
    return run("import evercan.deferred, evercan.daemon; print(*sys.modules)")


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


def test_a_function_of_a_module_that_was_put_off_runs_the_module() -> None:
    seen = run(
        "import evercan.deferred\n"
        "from html import escape\n"
        "from evercan.partial_import import deferred\n"
        "print('html' in deferred(), escape('<'), 'html' in deferred())\n"
        "import html\n"
        "print(html.escape is not escape, html.unescape('&lt;'))\n"
    )
    assert seen == ["True", "&lt;", "False", "True", "<"]


def test_a_module_that_was_put_off_is_an_attribute_of_its_package() -> None:
    seen = run(
        "import evercan.deferred\n"
        "import urllib.request\n"
        "print(urllib.request.Request('http://host/path').selector)\n"
    )
    assert seen == ["/path"]


def test_threads_that_use_a_module_that_was_put_off_wait_until_it_has_run(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.2)\nvalue = 1\n")
    seen = run(
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from evercan import partial_import\n"
        "partial_import.defer('slow')\n"
        "import slow\n"
        "print(*ThreadPoolExecutor(4).map(lambda _: slow.value, range(4)))\n"
    )
    assert seen == ["1"] * 4


def test_a_module_that_failed_runs_again_when_it_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text("import os\nvalue = os.environ['SET']\n")
    seen = run(
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import os\n"
        "from evercan import partial_import\n"
        "partial_import.defer('failing')\n"
        "import failing\n"
        "try:\n    failing.value\nexcept KeyError:\n    print('failed')\n"
        "os.environ['SET'] = 'value'\n"
        "print(failing.value)\n"
    )
    assert seen == ["failed", "value"]


FIELDS = """
import importlib
for name in sys.argv[1:]:
    for cls in vars(importlib.import_module(name)).values():
        if not isinstance(cls, type) or cls.__module__ != name:
            continue
        if "__attrs_attrs__" in vars(cls):
            import attr
            print(cls.__name__, *[
                f"{field.name}={'' if field.default is attr.NOTHING else field.default}"
                for field in attr.fields(cls)
            ], sep=",")
        elif type(cls.__init__).__name__ == "function" and "_of_class" in vars(cls):
            fields = cls._of_class
            print(cls.__name__, *[
                f"{field}={fields.defaults[field]() if field in fields.defaults else ''}"
                for field in fields.names
            ], sep=",")
"""


def test_aiohttps_own_classes_have_the_same_fields_without_attrs() -> None:
    modules = ["aiohttp.helpers", "aiohttp.web_protocol", "aiohttp.web_request"]
    arguments = f"sys.argv[1:] = {modules!r}\n"
    standard = run(arguments + "import aiohttp.web\n" + FIELDS)
    ours = run(arguments + "import evercan.deferred\nimport evercan.libnetwork.web\n" + FIELDS)
    assert len(standard) == 5
    assert ours == standard


def test_a_class_that_needs_more_of_attrs_is_made_by_attrs() -> None:
    seen = run(
        "import evercan.deferred\n"
        "import attr\n"
        "@attr.s(auto_attribs=True, order=True)\n"
        "class Point:\n    x: int = attr.ib(converter=int)\n"
        "@attr.s\n"
        "class Empty:\n    pass\n"
        "print(Point('2') < Point('10'), len(attr.fields(Point)), len(attr.fields(Empty)))\n"
    )
    assert seen == ["True", "1", "0"]


def test_the_error_names_a_package_that_is_not_installed() -> None:
    seen = run(
        "from evercan import partial_import\n"
        "try:\n    partial_import.defer('not_installed')\n"
        "except ModuleNotFoundError as error:\n    print(error.name)\n"
    )
    assert seen == ["not_installed"]


def test_another_thread_gets_the_interpreter_within_a_millisecond() -> None:
    seen = run(
        "from evercan import daemon\ndaemon.yield_often()\nprint(sys.getswitchinterval() <= 0.001)"
    )
    assert seen == ["True"]
