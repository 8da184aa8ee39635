"""The site of the documentation: it loads nothing from other sites, and has its features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pages import PAGES, blocks
from tools.common.checkout import ROOT
from tools.common.errors import BuildError
from tools.docs import external_loads, generate


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', 1),
        ("a.html", "<img alt='x' src='//cdn.example/x.png'>", 1),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/css">', 1),
        ("a.css", "@import 'x.css';", 1),
        ("a.css", "src: url(https://fonts.example/f.woff2)", 1),
        ("a.html", '<a href="https://www.example.org/">elsewhere</a>', 0),
        ("a.html", '<script src="../js/base.js"></script><img src="frame.svg">', 0),
        ("a.css", "src: url('../webfonts/f.woff2')", 0),
        ("a.svg", "@font-face { src: url('https://fonts.example/f.woff2') }", 1),
        ("a.txt", "@import", 0),
    ],
)
def test_loads_from_other_sites_are_found(tmp_path: Path, name: str, text: str, count: int) -> None:
    (tmp_path / name).write_text(text)
    assert len(list(external_loads(tmp_path))) == count


@pytest.mark.parametrize(
    "text", ["[a page](missing.md)", "![a picture](missing.png)", "[a place](index.md#missing)"]
)
def test_a_warning_of_the_generator_is_an_error(tmp_path: Path, text: str) -> None:
    validation = {"validation": configuration()["validation"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({"site_name": "a site", **validation}))
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs/index.md"
    page.write_text("# A page\n")
    generate(tmp_path)
    page.write_text(f"# A page\n\n{text}\n")
    with pytest.raises(BuildError):
        generate(tmp_path)


def configuration() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    return document


def test_the_theme_loads_no_web_fonts_and_no_script_of_another_site() -> None:
    site = configuration()
    assert site["theme"]["font"] is False
    assert [path for path in site["extra"]["polyfills"] if not (ROOT / path).is_file()] == []
    # The theme would load the program that draws such diagrams from another site.
    assert not [
        str(block) for page in PAGES for block in blocks(page) if "mermaid" in block.language
    ]


def test_the_site_has_search_copy_buttons_highlighting_and_three_colour_modes() -> None:
    site = configuration()
    assert {"search", "offline"} <= set(site["plugins"])
    assert "content.code.copy" in site["theme"]["features"]
    assert "pymdownx.highlight" in site["markdown_extensions"]
    assert [palette["media"] for palette in site["theme"]["palette"]] == [
        "(prefers-color-scheme)",
        "(prefers-color-scheme: light)",
        "(prefers-color-scheme: dark)",
    ]
    assert all(palette["toggle"] for palette in site["theme"]["palette"])


def test_pages_have_no_link_to_edit_them() -> None:
    assert not {"repo_url", "edit_uri"} & set(configuration())
