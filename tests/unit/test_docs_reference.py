"""The reference says what the code does, and nothing else."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evercan.errors import OptionError
from evercan.model.controller import NO_SETTINGS
from evercan.model.problems import ProblemKind
from evercan.options import network
from evercan.options.controller import BITRATE, CONTROLLER_OPTIONS, DBITRATE, FD
from evercan.settings import LOG_FORMATS, LOG_LEVELS, Recovery, read_settings
from tests.support.pages import code, table
from tools.common.checkout import ROOT

REFERENCE = "docs/reference.md"
CONFIG = json.loads((ROOT / "plugin/config.json").read_text())
SCHEMA = json.loads((ROOT / "docs/status.schema.json").read_text())


def rows(heading: str) -> dict[str, list[str]]:
    """Return a table's rows by what its first cell sets as code."""
    return {code(row[0])[0]: row[1:] for row in table(REFERENCE, heading)}


def plain(cell: str) -> str:
    return cell.replace("`", "")


def test_every_network_option_is_there_with_its_default() -> None:
    listed = rows("Network options")
    assert sorted(listed) == sorted(network.NETWORK_OPTIONS)
    default = network.network_options({})
    said = {key: plain(cells[0]) for key, cells in listed.items()}
    assert said[network.DEV] + said[network.ID] == default.bus
    assert said[network.PEER] == default.peer_prefix
    assert (said[network.KIND], default.kind) == (network.AUTO, None)
    assert default.settings == NO_SETTINGS
    assert {said[key] for key in CONTROLLER_OPTIONS} == {"left alone"}


def test_every_endpoint_option_is_there_with_its_default() -> None:
    listed = rows("Endpoint options")
    assert list(listed) == list(network.ENDPOINT_OPTIONS)
    default = network.endpoint_options({})
    assert (default.peer_prefix, plain(listed[network.PEER][0])) == (None, "the network's")
    assert (default.altname, plain(listed[network.NAME][0])) == (None, "none")


@pytest.mark.parametrize("option", network.NETWORK_OPTIONS)
def test_the_values_that_an_option_is_said_to_take_are_taken(option: str) -> None:
    needed: dict[str, str] = {}
    if option in CONTROLLER_OPTIONS:
        needed = {BITRATE: "500000", FD: "on", DBITRATE: "2000000"}
    values = rows("Network options")[option][1]
    numbers = re.match(r"(\d+) to (\d+)", values)
    for value in code(values) + list(numbers.groups() if numbers else ()):
        others = dict(needed)
        if (option, value) == (FD, "off"):
            del others[DBITRATE]
        if option in {BITRATE, DBITRATE}:
            others |= {BITRATE: value, DBITRATE: value}
        network.network_options({**others, option: value})
    if numbers:
        for beyond in (int(numbers[1]) - 1, int(numbers[2]) + 1):
            with pytest.raises(OptionError, match=re.escape(option)):
                network.network_options({**needed, option: str(beyond)})


def test_every_setting_is_there_with_its_default_in_the_code_and_in_the_plugin() -> None:
    listed = rows("Settings")
    env = {each["name"]: each["value"] for each in CONFIG["env"]}
    assert list(listed) == list(env)
    said = {name: plain(cells[0]) for name, cells in listed.items()}
    assert said == {name: value or "none" for name, value in env.items()}
    assert read_settings(env) == read_settings({})


def test_the_values_of_settings_are_those_that_are_taken() -> None:
    listed = rows("Settings")
    assert code(listed["EVERCAN_LOG_LEVEL"][1]) == list(LOG_LEVELS)
    assert code(listed["EVERCAN_LOG_FORMAT"][1]) == list(LOG_FORMATS)
    assert code(listed["EVERCAN_RECOVERY"][1]) == list(Recovery)


def test_every_reason_is_there_with_its_remedy() -> None:
    listed = rows("Reasons and remedies")
    assert sorted(listed) == sorted(ProblemKind)
    assert all(len(cells) == 2 and all(cells) for cells in listed.values())


# --- the status schema ----------------------------------------------------------


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    return {**SCHEMA["$defs"][node["$ref"].rpartition("/")[2]], **node}


def fields(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the paths of a schema's fields, ``networks[].bus``.

    What several fields of one object have in common is spelled out at the first.
    """
    told: set[str] = set()
    for name, given in node.get("properties", {}).items():
        child = resolved(given)
        path = prefix + name
        yield path
        if given.get("$ref") in told:
            continue
        told.add(given.get("$ref", path))
        for each in (child, *(resolved(choice) for choice in child.get("anyOf", []))):
            if "items" in each:
                yield from fields(resolved(each["items"]), f"{path}[].")
            yield from fields(each, f"{path}.")


def test_every_field_of_the_status_is_there() -> None:
    listed = [name for row in table(REFERENCE, "Status") for name in code(row[0])]
    assert listed == list(fields(SCHEMA))


# --- the words of log lines and errors ---------------------------------------------


def strings() -> Iterator[str]:
    """Yield the texts that the daemon's modules have, as they are put together."""
    package = Path(ROOT, "src/evercan")
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("heading", ["Log", "Errors"])
def test_lines_and_errors_are_in_the_words_of_the_code(heading: str) -> None:
    known = "\0".join(strings())
    for row in table(REFERENCE, heading):
        for line in code(row[0]):
            words = [each.strip() for each in re.split(r"…|\b[A-Z]+\b=?", line)]
            parts = [each for each in words if len(each) > 3]
            assert parts or "…" in line, line
            for part in parts:
                assert part.rstrip(":") in known, f"{part!r} of {line!r} is in no module"
