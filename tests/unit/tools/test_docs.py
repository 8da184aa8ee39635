"""The documentation's site must not load anything from other sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs import external_loads


@pytest.mark.parametrize(
    ("name", "text", "loads"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', 1),
        ("a.html", "<img alt='x' src='//cdn.example/x.png'>", 1),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/css">', 1),
        ("a.css", "@import 'x.css';", 1),
        ("a.css", "src: url(https://fonts.example/f.woff2)", 1),
        ("a.html", '<a href="https://www.example.org/">elsewhere</a>', 0),
        ("a.html", '<script src="../js/base.js"></script><img src="frame.svg">', 0),
        ("a.css", "src: url('../webfonts/f.woff2')", 0),
        ("a.txt", "@import", 0),
    ],
)
def test_loads_from_other_sites_are_found(tmp_path: Path, name: str, text: str, loads: int) -> None:
    (tmp_path / name).write_text(text)
    assert len(list(external_loads(tmp_path))) == loads
