"""Imports run one way: protocol → driver → core → plan → model, and kernel → model."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evercan

ROOT = Path(evercan.__file__).parent

VALUES = {"controller", "controller_match", "model", "errors", "steps", "troubles"}
PURE = VALUES | {
    "names",
    "controller_options",
    "options",
    "altnames",
    "bus_choice",
    "bus_plan",
    "plan",
    "intent",
    "refusals",
    "restraint",
    "adoption",
    "drift",
    "frames",
}
CORE = PURE | {
    *("settings", "log", "metrics", "store", "kernel.port", "state", "reconciler", "turns")
}

# What each part may import of evercan. A part that is not named here is held to
# the rules at the end of this file only.
MAY_IMPORT = {
    "errors": set(),
    "controller": set(),
    "controller_match": {"controller"},
    "altnames": VALUES | {"options"},
    "model": {"controller"},
    "troubles": set(),
    "names": {"model"},
    "controller_options": {"controller", "errors"},
    "options": VALUES | {"names", "controller_options"},
    "steps": {"model", "controller"},
    "bus_plan": VALUES,
    "plan": VALUES | {"bus_plan"},
    "refusals": VALUES | {"plan"},
    "restraint": VALUES | {"plan"},
    "bus_choice": VALUES | {"names", "options"},
    "intent": VALUES | {"names", "options", "plan", "bus_choice", "altnames"},
    "drift": VALUES | {"plan"},
    "frames": VALUES | {"plan"},
    "state": VALUES | {"plan", "frames"},
    "recoveries": VALUES | {"plan", "drift", "state", "narration", "log"},
    "adoption": VALUES | {"names", "options", "intent"},
    "sandboxes": VALUES,
    "cli": {"cli"},
    "losses": VALUES | {"plan", "log", "narration"},
    "narration": VALUES | {"plan", "log"},
    "store": VALUES,
    "record": VALUES | {"store"},
    "looks": VALUES | {"kernel.port", "sandboxes"},
    "settings": {"errors"},
    "log": set(),
    "controller_view": {"controller"},
    "controller_metrics": {"controller"},
    "durations": set(),
    "partial_import": set(),
    "metrics": CORE | {"controller_metrics", "durations", "recoveries", "status"},
    "reconciler": CORE - {"reconciler", "turns", "options"}
    | {"looks", "record", "narration", "losses", "recoveries"},
    "turns": CORE - {"turns"},
    "watch": CORE,
    "status": CORE | {"controller_view"},
    "undertaking": CORE,
    "adopter": CORE,
    "driver": CORE | {"undertaking", "adopter"},
    "protocol": CORE | {"driver", "protocol", "partial_import"},
    "kernel": VALUES | {"kernel", "log", "partial_import"},
}

NETLINK_FAMILY = "AF_NETLINK"


def modules() -> list[str]:
    """Every module of evercan by its dotted name below the package."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py")
    )


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text())


def imports(nodes: ast.AST) -> Iterator[str]:
    """Yield the full dotted names of what is imported anywhere in a tree."""
    for node in ast.walk(nodes):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for each in node.names:
                yield f"{node.module}.{each.name}"


def own(module: str) -> set[str]:
    """Return the parts of evercan that a module imports."""
    known = set(modules())
    found: set[str] = set()
    for name in imports(tree(module)):
        top, _, rest = name.partition(".")
        if top != "evercan" or not rest:
            continue
        while rest and rest not in known and f"{rest}.__init__" not in known:
            rest = rest.rpartition(".")[0]
        found.add(rest)
    return found - {""}


def part(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", [each for each in modules() if part(each) in MAY_IMPORT])
def test_a_part_imports_only_what_lies_below_it(module: str) -> None:
    allowed = MAY_IMPORT[part(module)]
    assert {
        each for each in own(module) if each not in allowed and part(each) not in allowed
    } == set()


@pytest.mark.parametrize("module", modules())
def test_only_the_daemon_names_the_real_kernel(module: str) -> None:
    if module != "daemon" and part(module) not in ("kernel", "cli"):
        assert {each for each in own(module) if part(each) == "kernel"} <= {"kernel.port"}


@pytest.mark.parametrize("module", [each for each in modules() if part(each) != "kernel"])
def test_nothing_outside_kernel_speaks_netlink(module: str) -> None:
    assert "pyroute2" not in {name.partition(".")[0] for name in imports(tree(module))}
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
    assert NETLINK_FAMILY not in source


@pytest.mark.parametrize("module", modules())
def test_nothing_but_the_protocol_and_the_daemon_knows_of_http(module: str) -> None:
    if part(module) not in ("protocol", "daemon", "cli"):
        assert "aiohttp" not in {name.partition(".")[0] for name in imports(tree(module))}


def test_the_entry_point_loads_next_to_nothing_before_it_listens() -> None:
    body = [node for node in tree("__main__").body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name for node in body for name in imports(node)}
    # The package is there already: it is what the entry point is loaded through.
    assert names == {"_socket", "gc", "os", "sys", "evercan.BACKLOG"}


def test_the_package_itself_imports_nothing() -> None:
    assert list(imports(tree("__init__"))) == []


@pytest.mark.parametrize(
    "module",
    sorted(PURE - {"errors"} | {"state", "status"}),
)
def test_what_decides_does_no_io(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports(tree(module))}
    assert not tops & {"os", "socket", "asyncio", "pathlib", "subprocess", "time", "logging"}


CLI = [each for each in modules() if part(each) == "cli"]
CLI_PACKAGES = {"click", "docker", "requests", "rich", "rich_click", "textual"}
"""What ``pip install 'evercan[cli]'`` brings: requirements/cli.in and what belongs to it."""


@pytest.mark.parametrize("module", CLI)
def test_the_command_for_the_host_needs_nothing_but_its_extra(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports(tree(module))} - {"evercan", "__future__"}
    assert tops - sys.stdlib_module_names <= CLI_PACKAGES


@pytest.mark.parametrize("module", [each for each in modules() if part(each) != "cli"])
def test_the_plugin_needs_nothing_of_the_command(module: str) -> None:
    assert "cli" not in {part(each) for each in own(module)}
    tops = {name.partition(".")[0] for name in imports(tree(module))}
    assert not tops & CLI_PACKAGES


PURE_CLI = (
    "overview",
    "doctor.check",
    "doctor.health",
    "doctor.host",
    "doctor.networks",
    "doctor.plugin",
    "doctor.report",
    "lettering",
    "rates",
    "screen",
    "status",
    "svg",
    "topology",
    "traffic",
    "words",
)


@pytest.mark.parametrize("module", [f"cli.{each}" for each in PURE_CLI])
def test_what_decides_what_is_shown_does_no_io(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports(tree(module))}
    assert not tops & {"os", "socket", "pathlib", "subprocess", "time", "threading", "docker"}
