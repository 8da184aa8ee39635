from pathlib import Path

import pytest

from tools import apt_sources
from tools.apt_sources import Evidence, Source

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian/
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
    assert list(apt_sources.parse_deb822(DEB822)) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib"), key),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"), key),
        Source("http://inline.example/debian", "trixie", ("main",), key_inside=True),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# deb http://m.example/debian trixie main", []),
        ("deb-src http://m.example/debian trixie main", []),
        (
            "deb http://m.example/debian trixie main contrib # comment",
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
        (
            "deb http://m.example/don't/debian/ sid",
            [Source("http://m.example/don't/debian", "sid", ())],
        ),
    ],
)
def test_one_line_sources_are_parsed(line: str, expected: list[Source]) -> None:
    assert list(apt_sources.parse_one_line(line)) == expected


DEBIAN = Source("http://m.example/debian", "bookworm", ("main",))
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
EDITOR = Source("http://editor.example/repos/code", "stable", ("main",), Path("/k/editor.gpg"))


def add_release_file(
    lists: Path, source: Source, origin: str, label: str, name: str = "InRelease"
) -> Path:
    """Write the Release file of a source as apt does."""
    address = source.uri.partition("://")[2].replace("/", "_")
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: {origin}\nLabel: {label}\nSuite: x\n"
    (lists / f"{address}_dists_{source.suite}_{name}").write_text(text)
    return lists


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (DEBIAN, Evidence.PATH),
        (Source("http://m.example/debian-security", "bookworm-security", ()), Evidence.PATH),
        (Source("http://s.example/archive/debian/20250520T000000Z", "sid", ()), Evidence.PATH),
        (Source("http://m.example/any", "stable", ("main",), DEBIAN_KEYS), Evidence.KEY),
        (EDITOR, Evidence.NONE),
        (Source("http://editor.example/repos/code", "stable", ("main",)), Evidence.NONE),
        (Source("http://shop.example/debian", "stable", ("main",)), Evidence.NONE),
        (Source("http://shop.example/debian", "bookworm", (), Path("/k/s.gpg")), Evidence.NONE),
        (Source("http://shop.example/debian", "bookworm", (), key_inside=True), Evidence.NONE),
        (Source("http://m.example/ubuntu", "noble", ("main",)), Evidence.NONE),
    ],
)
def test_without_release_files_keys_and_addresses_count(
    source: Source, expected: Evidence, tmp_path: Path
) -> None:
    assert apt_sources.evidence(source, tmp_path) == expected


@pytest.mark.parametrize(
    ("origin", "label", "expected"),
    [
        ("Debian", "Debian", Evidence.RELEASE),
        ("Debian", "Debian-Security", Evidence.RELEASE),
        ("Debian Backports", "Debian Backports", Evidence.NONE),
        ("Shop", "Debian", Evidence.NONE),
        ("", "", Evidence.NONE),
    ],
)
@pytest.mark.parametrize("name", ["InRelease", "Release"])
def test_a_release_file_overrides_keys_and_addresses(
    origin: str, label: str, expected: Evidence, name: str, tmp_path: Path
) -> None:
    for source in (DEBIAN, Source("http://m.example/any", "stable", (), Path("/k/ours.gpg"))):
        lists = add_release_file(tmp_path, source, origin, label, name)
        assert apt_sources.evidence(source, lists) == expected


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("https://user:word@m.example:8080/my_debian~1", "m.example:8080_my%5fdebian%7e1"),
        ("mirror+file:/etc/apt/mirrors/debian.list", "_etc_apt_mirrors_debian.list"),
        ("file:///srv/debian", "_srv_debian"),
    ],
)
def test_release_files_are_found_by_apts_file_names(uri: str, file: str, tmp_path: Path) -> None:
    (tmp_path / f"{file}_dists_sid_InRelease").write_text("Origin: Debian\nLabel: Debian\n")
    assert apt_sources.evidence(Source(uri, "sid", ("main",)), tmp_path) == Evidence.RELEASE


def test_another_publishers_stable_main_is_no_mirror(tmp_path: Path) -> None:
    assert apt_sources.best([EDITOR], tmp_path) is None
    assert apt_sources.lines([EDITOR], "trixie", tmp_path) == []
    assert apt_sources.best([EDITOR, DEBIAN], tmp_path) == DEBIAN


def test_a_mirror_of_the_archive_is_preferred(tmp_path: Path) -> None:
    snapshot = Source("http://snapshot.example/archive/debian/20250520T000000Z", "sid", ("main",))
    others = [
        Source("http://m.example/debian-security", "bookworm-security", ("main",)),
        Source("http://m.example/debian", "bookworm-updates", ("main",)),
        Source("http://other.example/apt", "nodistro", ("main",)),
        Source("cdrom:[disc]/", "bookworm", ("main",), DEBIAN_KEYS),
        Source("http://m.example/debian", "bookworm", ("contrib",)),
    ]
    assert apt_sources.best([*others, snapshot, DEBIAN], tmp_path) == DEBIAN
    assert apt_sources.best([*others, snapshot], tmp_path) == snapshot
    assert apt_sources.best(others, tmp_path) is None


def test_better_evidence_counts_more_than_an_earlier_place(tmp_path: Path) -> None:
    keyed = Source("http://k.example/any", "stable", ("main",), DEBIAN_KEYS)
    released = Source("http://r.example/any", "stable", ("main",), Path("/k/ours.gpg"))
    assert apt_sources.best([DEBIAN, keyed], tmp_path) == keyed
    lists = add_release_file(tmp_path, released, "Debian", "Debian")
    assert apt_sources.best([DEBIAN, keyed, released], lists) == released


def test_lines_for_a_release_use_the_machines_own_mirrors(tmp_path: Path) -> None:
    security = Source("http://s.example/debian-security", "bookworm-security", ("main",))
    updates = Source("http://m.example/debian", "bookworm-updates", ("main", "contrib"))
    assert apt_sources.lines([EDITOR, security, updates, DEBIAN], "trixie", tmp_path) == [
        "deb http://m.example/debian trixie main",
        "deb http://m.example/debian trixie-updates main",
        "deb http://s.example/debian-security trixie-security main",
    ]
    assert apt_sources.lines([DEBIAN], "trixie", tmp_path) == [
        "deb http://m.example/debian trixie main"
    ]
    assert apt_sources.lines([security, updates], "trixie", tmp_path) == []
    assert apt_sources.lines([], "trixie", tmp_path) == []


def test_both_formats_are_read_from_apts_folder(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian sid main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "c.list").write_text("deb http://c.example/debian sid main\n")
    (parts / "d.list.save").write_text("deb http://d.example/debian sid main\n")
    hosts = [source.uri for source in apt_sources.read(tmp_path)]
    assert hosts[0] == "http://a.example/debian"
    assert hosts[-1] == "http://c.example/debian"
    assert "http://mirror.example/debian" in hosts
    assert "http://d.example/debian" not in hosts


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert apt_sources.read(tmp_path / "absent") == []


def test_a_mirror_list_kept_in_a_file_gives_its_first_address(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# ours\nhttp://first.example/debian priority:1\nhttp://b.example/debian\n")
    assert apt_sources.resolve(f"mirror+file:{mirrors}") == "http://first.example/debian"
    assert apt_sources.resolve("http://m.example/debian") == "http://m.example/debian"


def test_the_sources_own_keyring_is_preferred(tmp_path: Path) -> None:
    key = tmp_path / "key.gpg"
    key.touch()
    assert apt_sources.keyring(Source("u", "sid", ("main",), key)) == key
    missing = Source("u", "sid", ("main",), tmp_path / "absent.gpg")
    assert apt_sources.keyring(missing) == apt_sources.keyring(None)
