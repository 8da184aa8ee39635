"""Each block of commands in the documentation is run by a test, or says why it is not."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.support.pages import PAGES, Block, blocks, code, commands, read, table
from tools.common.checkout import ROOT

LANGUAGES = {"sh", "yaml", "ini", "json", "text"}

ON_PATH = 'export PATH="$PWD/.venv/bin:$PATH"'
"""How a page puts the checkout's ``evercan`` on the path."""


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_known_language(page: str) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: {block.language!r}"


@pytest.mark.parametrize("page", PAGES)
def test_every_reason_is_before_a_block_of_commands(page: str) -> None:
    not_run = [block for block in blocks(page) if block.reason is not None]
    assert all(block.language == "sh" for block in not_run)
    assert len(not_run) == len(re.findall(r"^<!-- not run", read(page), re.MULTILINE))


def test_blocks_that_are_not_run_are_listed_with_their_reasons() -> None:
    listed = [
        (code(page)[0], reason)
        for page, reason in table("docs/tested.md", "How a command of these pages is tested")
    ]
    not_run = [
        (block.page, block.reason) for page in PAGES for block in commands(page) if block.reason
    ]
    assert listed == not_run
    for _, reason in not_run:
        for test in re.findall(r"tests/\S+\.py", str(reason)):
            assert (ROOT / test).exists(), reason


@pytest.mark.parametrize("page", PAGES)
def test_a_page_puts_evercan_on_the_path_before_it_uses_it(page: str) -> None:
    on_path = False
    for block in commands(page):
        if block.reason is not None:
            continue
        for line in block.text.splitlines():
            on_path |= line.startswith(ON_PATH)
            assert on_path or not re.match(r"evercan\b", line), f"{block}: {line}"
            assert "sudo evercan" not in line, f"{block}: sudo has a PATH of its own"


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in commands(page)], ids=str
)  # fmt: skip
def test_commands_are_valid_shell(block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.text], check=True)


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES for block in blocks(page) if block.language == "yaml"],
    ids=str,
)
def test_yaml_is_valid(block: Block) -> None:
    assert yaml.safe_load(block.text)
