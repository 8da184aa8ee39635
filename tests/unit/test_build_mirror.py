from pathlib import Path

import pytest

from build.mirror import (
    Source,
    debian_keyring,
    debian_lines,
    parse_deb822,
    parse_one_line,
    read_sources,
)

DEB822 = """\
# the machine's own
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
# a comment inside a stanza does not end it
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://other.example/tool
Suites: stable
Components: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no
"""


def test_one_line_format_with_options_comments_and_sources() -> None:
    text = """
    deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://m.example/debian trixie main  # x
    deb-src http://m.example/debian trixie main
    # deb http://off.example/debian trixie main
    deb http://m.example/debian/ trixie-updates main contrib
    """
    assert list(parse_one_line(text)) == [
        Source("http://m.example/debian", "trixie", ("main",), "/usr/share/keyrings/d.gpg"),
        Source("http://m.example/debian", "trixie-updates", ("main", "contrib")),
    ]


def test_deb822_format_splits_suites_and_leaves_out_disabled_stanzas() -> None:
    found = list(parse_deb822(DEB822))
    assert [(s.uri, s.suite, s.keyring) for s in found] == [
        ("http://mirror.example/debian", "bookworm", "/usr/share/keyrings/debian.gpg"),
        ("http://mirror.example/debian", "bookworm-updates", "/usr/share/keyrings/debian.gpg"),
        ("http://mirror.example/debian-security", "bookworm-security", None),
        ("https://other.example/tool", "stable", None),
    ]


def test_lines_for_a_release_come_from_the_machines_own_mirrors() -> None:
    found = list(parse_deb822(DEB822))
    assert debian_lines(found, "trixie") == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]
    assert debian_keyring(found) == "/usr/share/keyrings/debian.gpg"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://archive.example/ubuntu noble main",
        "deb http://m.example/debian-security bookworm-security main",
        "deb https://other.example/tool stable tool",
    ],
)
def test_a_machine_without_a_debian_mirror_has_no_lines(text: str) -> None:
    assert debian_lines(list(parse_one_line(text)), "trixie") == []


def test_both_formats_are_read_from_apts_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian trixie main\n")
    (folder / "b.list").write_text("deb http://b.example/debian trixie main\n")
    (folder / "c.sources").write_text(DEB822)
    (folder / "d.list.disabled").write_text("deb http://d.example/debian trixie main\n")
    hosts = [source.uri.split("/")[2] for source in read_sources(tmp_path)]
    assert hosts[:3] == ["a.example", "b.example", "mirror.example"]
    assert "d.example" not in hosts


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
