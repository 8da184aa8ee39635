"""The reference lists what the code has, and nothing else."""

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
from evercan.options import endpoint, network
from evercan.options.access import ACCESS_OPTIONS, SEND_BURST, SEND_RATE
from evercan.options.controller import BITRATE, CONTROLLER_OPTIONS, DBITRATE, FD
from evercan.options.reading import PEER
from evercan.settings import LOG_FORMATS, LOG_LEVELS, Recovery, read_settings
from tests.support.pages import code, table
from tools.common.checkout import ROOT

REFERENCE = "docs/reference.md"
CONFIG = json.loads((ROOT / "plugin/config.json").read_text())
SCHEMA = json.loads((ROOT / "docs/status.schema.json").read_text())


def rows(heading: str) -> dict[str, list[str]]:
    """Return a table's rows by the code in their first cell."""
    return {code(row[0])[0]: row[1:] for row in table(REFERENCE, heading)}


def plain(cell: str) -> str:
    return cell.replace("`", "")


def test_every_network_option_is_listed_with_its_default() -> None:
    listed = rows("Network options")
    assert sorted(listed) == sorted(network.NETWORK_OPTIONS)
    default = network.network_options({})
    defaults = {key: plain(cells[0]) for key, cells in listed.items()}
    assert defaults[network.DEV] + defaults[network.ID] == default.bus
    assert defaults[PEER] == default.peer_prefix
    assert (defaults[network.KIND], default.kind) == (network.AUTO, None)
    assert default.settings == NO_SETTINGS
    assert {defaults[key] for key in CONTROLLER_OPTIONS} == {"left alone"}


def test_every_endpoint_option_is_listed_with_its_default() -> None:
    listed = rows("Endpoint options")
    assert list(listed) == list(endpoint.ENDPOINT_OPTIONS)
    default = endpoint.endpoint_options({})
    assert (default.peer_prefix, plain(listed[PEER][0])) == (None, "the network's")
    assert {plain(listed[option][0]) for option in ACCESS_OPTIONS} == {"the network's"}
    assert (default.altname, plain(listed[endpoint.NAME][0])) == (None, "none")


@pytest.mark.parametrize("option", network.NETWORK_OPTIONS)
def test_the_listed_values_of_an_option_are_accepted(option: str) -> None:
    needed: dict[str, str] = {}
    if option in CONTROLLER_OPTIONS:
        needed = {BITRATE: "500000", FD: "on", DBITRATE: "2000000"}
    if option == SEND_BURST:
        needed = {SEND_RATE: "1"}
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


def test_every_setting_is_listed_with_the_default_of_the_code_and_of_the_plugin() -> None:
    listed = rows("Settings")
    env = {setting["name"]: setting["value"] for setting in CONFIG["env"]}
    assert list(listed) == list(env)
    defaults = {name: plain(cells[0]) for name, cells in listed.items()}
    assert defaults == {name: value or "none" for name, value in env.items()}
    assert read_settings(env) == read_settings({})


def test_the_listed_values_of_settings_are_those_of_the_code() -> None:
    listed = rows("Settings")
    assert code(listed["EVERCAN_LOG_LEVEL"][1]) == list(LOG_LEVELS)
    assert code(listed["EVERCAN_LOG_FORMAT"][1]) == list(LOG_FORMATS)
    assert code(listed["EVERCAN_RECOVERY"][1]) == list(Recovery)


def test_every_reason_is_listed_with_its_remedy() -> None:
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

    If several fields of one object share a definition, only the first lists its fields.
    """
    listed: set[str] = set()
    for name, given in node.get("properties", {}).items():
        child = resolved(given)
        path = prefix + name
        yield path
        if given.get("$ref") in listed:
            continue
        listed.add(given.get("$ref", path))
        for choice in (child, *(resolved(choice) for choice in child.get("anyOf", []))):
            if "items" in choice:
                yield from fields(resolved(choice["items"]), f"{path}[].")
            yield from fields(choice, f"{path}.")


def test_every_field_of_the_status_is_listed() -> None:
    listed = [name for row in table(REFERENCE, "Status") for name in code(row[0])]
    assert listed == list(fields(SCHEMA))


# --- the texts of log lines and errors ---------------------------------------------


def strings() -> Iterator[str]:
    """Yield the texts in the daemon's modules."""
    package = Path(ROOT, "src/evercan")
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("heading", ["Log", "Errors"])
def test_lines_and_errors_have_the_texts_of_the_code(heading: str) -> None:
    known = "\0".join(strings())
    for row in table(REFERENCE, heading):
        for line in code(row[0]):
            texts = [text.strip() for text in re.split(r"…|\b[A-Z]+\b=?", line)]
            parts = [text for text in texts if len(text) > 3]
            assert parts or "…" in line, line
            for part in parts:
                assert part.rstrip(":") in known, f"{part!r} of {line!r} is in no module"
