"""Finds Debian's mirrors in this machine's own apt sources.

Nothing in the project names a mirror: what the machine's apt may use, the lab and
the build use. Both formats of apt's sources are read: one line each, and deb822.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

CODENAMES: Final = frozenset(["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"])
SUITES: Final = CODENAMES | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
"""Names a Debian main archive goes by in apt's sources."""

KEYRINGS: Final = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
"""Where Debian's package debian-archive-keyring puts its keys."""

ETC_APT: Final = Path("/etc/apt")
LISTS: Final = Path("/var/lib/apt/lists")
"""Where apt keeps the Release file of each source, since its last update."""

_SUFFIXES: Final = ("", "-updates", "-security")
_SCHEMES: Final = ("http://", "https://", "mirror+file:", "file:", "copy:")
# With the day of a snapshot, or without.
_PATH: Final = re.compile(r"/debian(-security)?(/[0-9]{8}T[0-9]{6}Z)?$")


@dataclass(frozen=True)
class Source:
    """One archive that apt is told of.

    Attributes:
        uri: The archive's address, without a slash at its end.
        suite: Its suite, `bookworm` or `bookworm-updates`.
        components: `main` and the like.
        signed_by: The keyring's path, if the source names one.
        key_inside: Whether the source holds its key, or a key's fingerprint, itself.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: Path | None = None
    key_inside: bool = False


class Evidence(IntEnum):
    """What speaks for a source being Debian's own archive; more is better."""

    NONE = 0
    PATH = 1
    KEY = 2
    RELEASE = 3


def parse_one_line(text: str) -> Iterator[Source]:
    """Sources of a `.list` file: ``deb [options] uri suite components``."""
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) < 3 or fields[0] != "deb":
            continue
        fields, keys = fields[1:], ""
        if fields[0].startswith("["):
            end = next((i for i, field in enumerate(fields) if field.endswith("]")), None)
            if end is None:
                continue
            options = " ".join(fields[: end + 1]).strip("[] ").split()
            keys = next((o.partition("=")[2] for o in options if o.startswith("signed-by=")), "")
            fields = fields[end + 1 :]
        if len(fields) >= 2:
            yield _source(fields[0], fields[1], fields[2:], keys)


def parse_deb822(text: str) -> Iterator[Source]:
    """Sources of a `.sources` file: stanzas of ``Field: value``."""
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split():
            continue
        if stanza.get("enabled", "yes").strip().lower() in {"no", "false", "0"}:
            continue
        components = stanza.get("components", "").split()
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield _source(uri, suite, components, stanza.get("signed-by", ""))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0].isspace():
            stanza[field] = f"{stanza.get(field, '')} {line.strip()}"
        else:
            field, _, value = line.partition(":")
            field = field.strip().lower()
            stanza[field] = value.strip()


def _source(uri: str, suite: str, components: Iterable[str], keys: str) -> Source:
    path = next((Path(each) for each in re.split(r"[,\s]+", keys) if each.startswith("/")), None)
    inside = bool(keys.strip()) and path is None
    return Source(uri.rstrip("/"), suite, tuple(components), path, inside)


def read(etc_apt: Path = ETC_APT) -> list[Source]:
    """Every source of this machine, in apt's order."""
    parts = sorted((etc_apt / "sources.list.d").glob("*"))
    found: list[Source] = []
    for path in [etc_apt / "sources.list", *parts]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found += parse_deb822(text)
        elif path.suffix == ".list":
            found += parse_one_line(text)
    return found


def evidence(source: Source, lists: Path = LISTS) -> Evidence:
    """What speaks for a source being Debian's own archive, or a mirror of it.

    Names alone do not: other people's archives have a suite `stable` with a component
    `main` too, and some of them lie under `/debian`.
    """
    # Who made it says so in its Release file, which apt has checked the signature of.
    said = _release(source, lists)
    if said is not None:
        ours = said.get("origin") == "Debian" and said.get("label") in {"Debian", "Debian-Security"}
        return Evidence.RELEASE if ours else Evidence.NONE
    # Nobody else can sign with Debian's keys; who names other keys is somebody else.
    if source.signed_by is not None:
        own = source.signed_by.name.startswith("debian-archive-")
        return Evidence.KEY if own else Evidence.NONE
    if source.key_inside:
        return Evidence.NONE
    # Never updated, and checked with whatever apt trusts: the customary address has to do.
    codename = source.suite.partition("-")[0] in CODENAMES
    return Evidence.PATH if codename and _PATH.search(source.uri) else Evidence.NONE


def _release(source: Source, lists: Path) -> dict[str, str] | None:
    """The fields of a source's Release file by lower-case name; None if apt has none."""
    # As apt's URItoFileName does it: without the scheme and the user, some characters quoted.
    address = re.sub(r"^[a-z0-9+]+:(//)?([^/@]*@)?", "", f"{source.uri}/dists/{source.suite}/")
    quoted = re.sub(r'[\\|{}\[\]<>"^~_=!@#$%&*]', lambda c: f"%{ord(c[0]):02x}", address)
    for name in ("InRelease", "Release"):
        try:
            text = (lists / f"{quoted.replace('/', '_')}{name}").read_text("utf-8", "replace")
        except OSError:
            continue
        pairs = (line.partition(":") for line in text.splitlines() if not line[:1].isspace())
        return {field.lower(): value.strip() for field, _, value in pairs}
    return None


def best(sources: Iterable[Source], lists: Path = LISTS) -> Source | None:
    """The source that most likely mirrors Debian's main archive; None if none does."""
    return _best(sources, "", lists)


def _best(sources: Iterable[Source], suffix: str, lists: Path) -> Source | None:
    able = [
        (source, grade)
        for source in sources
        if source.suite.endswith(suffix)
        and source.suite.removesuffix(suffix) in SUITES
        and "main" in source.components
        and source.uri.startswith(_SCHEMES)
        and (grade := evidence(source, lists))
    ]
    # A snapshot of the past has the suite we want only by luck, so it comes last.
    found = min(able, key=lambda each: ("snapshot" in each[0].uri, -each[1]), default=None)
    return found[0] if found else None


def lines(sources: Iterable[Source], release: str, lists: Path = LISTS) -> list[str]:
    """Apt's lines for a Debian release, from the mirrors that a machine uses.

    Args:
        sources: The machine's archives; other people's may be among them.
        release: Code name, `trixie`.
        lists: Where apt keeps Release files.

    Returns:
        The release itself, then its updates and its security archive where the
        machine's own release has them; empty if no Debian mirror is configured.
    """
    known = list(sources)
    found = {suffix: _best(known, suffix, lists) for suffix in _SUFFIXES}
    if found[""] is None:
        return []
    return [f"deb {resolve(s.uri)} {release}{suffix} main" for suffix, s in found.items() if s]


def resolve(uri: str) -> str:
    """The address to hand on: a list of mirrors kept in a file gives its first."""
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    for line in path.read_text(encoding="utf-8").splitlines():
        address = line.partition("#")[0].split()
        if address:
            return address[0]
    return uri


def keyring(source: Source | None) -> Path | None:
    """The keyring to check the mirror's signature with; None if there is none."""
    candidates = [source.signed_by] if source and source.signed_by else []
    return next((path for path in [*candidates, *KEYRINGS] if path.is_file()), None)
