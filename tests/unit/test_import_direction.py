"""Check the rules about imports that import-linter cannot express.

Which package may import which is a contract in ``pyproject.toml`` (``make lint``).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evercan

ROOT = Path(evercan.__file__).parent

PURE = ("model", "options", "intent", "planning")
IO_MODULES = {"os", "socket", "asyncio", "pathlib", "subprocess", "time", "logging"}
HTTP_PACKAGES = ("libnetwork", "daemon", "cli")
NETLINK_PACKAGES = ("kernel", "cli")
CLI_REQUIREMENTS = {"click", "docker", "requests", "rich", "rich_click", "textual"}
"""What ``pip install 'evercan[cli]'`` installs: requirements/cli.in and what belongs to it."""
WORKBENCH_REQUIREMENTS = {"aiohttp", "asammdf", "can", "cantools", "numpy"}
"""What the extra ``workbench`` adds, for `WORKBENCH_MODULES` alone."""
WORKBENCH_MODULES = {
    "cli.access.database_files",
    "cli.access.databases",
    "cli.access.mdf",
    "cli.access.recordings",
    "cli.pages.web",
}
IMPORTED_LATE = {"cli.access.mdf", "cli.pages.web"}
"""Those of them that another one imports when the extra is needed. The others import it late."""
TESTING_REQUIREMENTS = {"can", "pytest", "testcontainers"}
"""What the extra ``testing`` adds, for `evercan.cli.pytest_plugin` alone."""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
}
"""Every module of evercan, by its dotted name below the package."""

PACKAGES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("__init__.py")
    if path.parent != ROOT
)


def top(module: str) -> str:
    """Return the package or the file of ``src/evercan`` that a module is in."""
    return module.partition(".")[0]


def in_packages(*packages: str) -> list[str]:
    return sorted(module for module in MODULES if top(module) in packages)


def outside_packages(*packages: str) -> list[str]:
    return sorted(module for module in MODULES if top(module) not in packages)


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports(nodes: ast.AST) -> Iterator[str]:
    """Yield the full dotted names of what is imported anywhere in a tree."""
    for node in ast.walk(nodes):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_at_start(module: str) -> Iterator[str]:
    """Yield what a module imports when it is imported itself."""
    for statement in tree(module).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield from imports(statement)


def imported_packages(module: str) -> set[str]:
    """Return the top-level names of what a module imports."""
    return {name.partition(".")[0] for name in imports(tree(module))}


# --- layout --------------------------------------------------------------------


def test_the_package_has_at_most_ten_files_of_its_own() -> None:
    assert len([path for path in ROOT.iterdir() if path.is_file()]) <= 10


def test_packages_are_not_nested_deeper_than_one_level_below_the_command() -> None:
    assert not [package for package in PACKAGES if package.count("/") > 1]
    assert {top(package.replace("/", ".")) for package in PACKAGES if "/" in package} <= {"cli"}


@pytest.mark.parametrize("package", [name for name in PACKAGES if not name.startswith("cli")])
def test_a_package_describes_itself_in_one_sentence_and_imports_nothing(package: str) -> None:
    module = ast.parse((ROOT / package / "__init__.py").read_text())
    docstring = ast.get_docstring(module) or ""
    assert len(module.body) == 1
    assert docstring.endswith(".")
    assert "\n" not in docstring
    assert ". " not in docstring


# --- what is pure ----------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_that_needs_the_workbench_is_imported_late(module: str) -> None:
    late = {f"evercan.{name}" for name in IMPORTED_LATE}
    assert not {name.rpartition(".")[0] for name in imports_at_start(module)} & late


@pytest.mark.parametrize("module", in_packages(*PURE))
def test_a_pure_package_does_no_io(module: str) -> None:
    assert not imported_packages(module) & IO_MODULES


PURE_CLI = ("cli.views", "cli.checks", "cli.pages")
CLI_WITH_IO = {
    "cli.pages.dump_screen",
    "cli.pages.progress",
    "cli.pages.terminal",
    "cli.pages.watch_app",
}
"""Modules of these packages that read the terminal or the clock, or start threads."""


@pytest.mark.parametrize(
    "module",
    [
        module
        for module in sorted(MODULES)
        if module.startswith(PURE_CLI) and module not in CLI_WITH_IO
    ],
)
def test_a_module_that_draws_or_checks_for_the_command_does_no_io(module: str) -> None:
    io_modules = {"os", "socket", "pathlib", "subprocess", "time", "threading", "docker"}
    assert not imported_packages(module) & io_modules


# --- who uses netlink and HTTP ------------------------------------------------------


@pytest.mark.parametrize("module", outside_packages("kernel"))
def test_only_the_kernel_package_uses_pyroute2(module: str) -> None:
    assert "pyroute2" not in imported_packages(module)


@pytest.mark.parametrize("module", outside_packages(*NETLINK_PACKAGES))
def test_only_the_kernel_package_and_the_command_open_netlink_sockets(module: str) -> None:
    assert "AF_NETLINK" not in MODULES[module].read_text()


@pytest.mark.parametrize("module", outside_packages("kernel", "daemon", "cli"))
def test_only_the_daemon_names_the_real_kernel(module: str) -> None:
    of_kernel = {name for name in imports(tree(module)) if name.startswith("evercan.kernel")}
    port = {f"evercan.kernel.port.{name}" for name in ("Kernel", "Checkpoint", "go_on")}
    assert of_kernel <= port


@pytest.mark.parametrize("module", outside_packages(*HTTP_PACKAGES))
def test_only_the_protocol_the_daemon_and_the_command_use_aiohttp(module: str) -> None:
    assert "aiohttp" not in imported_packages(module)


# --- the start, and the command -----------------------------------------------------


def test_the_entry_point_loads_next_to_nothing_before_it_listens() -> None:
    body = [node for node in tree("__main__").body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name for node in body for name in imports(node)}
    # The package is loaded already: the entry point is loaded through it.
    assert names == {"_socket", "gc", "os", "sys", "evercan.BACKLOG"}


def test_the_package_itself_imports_nothing() -> None:
    assert list(imports(tree("__init__"))) == []


@pytest.mark.parametrize("module", in_packages("cli"))
def test_the_command_needs_only_its_own_requirements(module: str) -> None:
    names = imported_packages(module) - {"evercan", "__future__"}
    more = TESTING_REQUIREMENTS if module == "cli.pytest_plugin" else set()
    if module in WORKBENCH_MODULES:
        more = WORKBENCH_REQUIREMENTS
        at_start = {name.partition(".")[0] for name in imports_at_start(module)}
        assert module in IMPORTED_LATE or not at_start & more
    assert names - sys.stdlib_module_names <= CLI_REQUIREMENTS | more


@pytest.mark.parametrize("module", in_packages("cli"))
def test_the_command_imports_nothing_of_the_plugin(module: str) -> None:
    of_evercan = {name for name in imports(tree(module)) if name.startswith("evercan.")}
    of_plugin = {name for name in of_evercan if not name.startswith("evercan.cli")}
    assert of_plugin <= {"evercan.__version__"}


@pytest.mark.parametrize("module", outside_packages("cli"))
def test_the_plugin_needs_nothing_of_the_command(module: str) -> None:
    assert not [name for name in imports(tree(module)) if name.startswith("evercan.cli")]
    assert not imported_packages(module) & CLI_REQUIREMENTS
