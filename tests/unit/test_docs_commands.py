"""Each command of the documentation is run by a test, or says why it is not."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.support.pages import PAGES, Block, blocks, code, commands, read, table
from tools.common.checkout import ROOT

LANGUAGES = {"sh", "yaml", "ini", "json", "text"}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: {block.language!r}"


@pytest.mark.parametrize("page", PAGES)
def test_every_reason_stands_before_a_block_of_commands(page: str) -> None:
    told = [block for block in blocks(page) if block.reason is not None]
    assert all(block.language == "sh" for block in told)
    assert len(told) == len(re.findall(r"^<!-- not run", read(page), re.MULTILINE))


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    listed = [
        (code(page)[0], reason)
        for page, reason in table("docs/tested.md", "How a command of these pages is tested")
    ]
    told = [(each.page, each.reason) for page in PAGES for each in commands(page) if each.reason]
    assert listed == told
    for _, reason in told:
        for test in re.findall(r"tests/\S+\.py", str(reason)):
            assert (ROOT / test).exists(), reason


@pytest.mark.parametrize(
    "block", [each for page in PAGES for each in commands(page)], ids=str
)  # fmt: skip
def test_commands_are_good_shell(block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.text], check=True)


@pytest.mark.parametrize(
    "block", [each for page in PAGES for each in blocks(page) if each.language == "yaml"], ids=str
)
def test_yaml_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text)
