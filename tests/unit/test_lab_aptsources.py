from pathlib import Path

import pytest

from lab import aptsources
from lab.aptsources import Source

DEB822 = """\
Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/one.gpg

Types: deb deb-src
Enabled: no
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main

Types: deb
URIs: http://inline.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_deb822_stanzas_become_one_source_per_suite() -> None:
    key = Path("/usr/share/keyrings/one.gpg")
    assert list(aptsources.parse_deb822(DEB822)) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib"), key),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"), key),
        Source("http://inline.example/debian", "trixie", ("main",), None),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# deb http://m.example/debian trixie main", []),
        ("deb-src http://m.example/debian trixie main", []),
        (
            "deb http://m.example/debian trixie main contrib # remark",
            [Source("http://m.example/debian", "trixie", ("main", "contrib"))],
        ),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian trixie main",
            [Source("http://m.example/debian", "trixie", ("main",), Path("/k.gpg"))],
        ),
        (
            "deb [ signed-by=/k.gpg,/l.gpg ] http://m.example/debian sid main",
            [Source("http://m.example/debian", "sid", ("main",), Path("/k.gpg"))],
        ),
        ("deb [unclosed http://m.example/debian trixie main", []),
    ],
)
def test_one_line_sources(line: str, expected: list[Source]) -> None:
    assert list(aptsources.parse_one_line(line)) == expected


def test_an_archive_mirror_is_preferred_to_everything_else() -> None:
    archive = Source("http://m.example/debian", "bookworm", ("main",))
    snapshot = Source("http://snapshot.example/archive/debian/2025", "bookworm", ("main",))
    others = [
        Source("http://m.example/debian-security", "bookworm-security", ("main",)),
        Source("http://m.example/debian", "bookworm-updates", ("main",)),
        Source("http://other.example/apt", "nodistro", ("main",)),
        Source("cdrom:[disc]/", "bookworm", ("main",)),
        Source("http://m.example/debian", "bookworm", ("contrib",)),
    ]
    assert aptsources.best([*others, snapshot, archive]) == archive
    assert aptsources.best([*others, snapshot]) == snapshot
    assert aptsources.best(others) is None


def test_both_formats_are_read_from_the_machines_own_folder(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian sid main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "c.list").write_text("deb http://c.example/debian sid main\n")
    (parts / "d.list.save").write_text("deb http://d.example/debian sid main\n")
    hosts = [source.uri for source in aptsources.read(tmp_path)]
    assert hosts[0] == "http://a.example/debian"
    assert hosts[-1] == "http://c.example/debian"
    assert "http://mirror.example/debian" in hosts
    assert "http://d.example/debian" not in hosts


def test_a_mirror_list_kept_in_a_file_gives_its_first_address(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# ours\nhttp://first.example/debian priority:1\nhttp://b.example/debian\n")
    assert aptsources.resolve(f"mirror+file:{mirrors}") == "http://first.example/debian"
    assert aptsources.resolve("http://m.example/debian") == "http://m.example/debian"


def test_the_sources_own_keyring_comes_first(tmp_path: Path) -> None:
    key = tmp_path / "key.gpg"
    key.touch()
    assert aptsources.keyring(Source("u", "sid", ("main",), key)) == key
    missing = Source("u", "sid", ("main",), tmp_path / "absent.gpg")
    assert aptsources.keyring(missing) == aptsources.keyring(None)
