"""Finds Debian's mirrors in this machine's own apt sources.

Nothing in the project names a mirror: the lab and the image builds use those of the machine's
apt. Both formats of apt's sources are read: one line for each source, and deb822.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

CODENAMES: Final = frozenset(["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"])
SUITES: Final = CODENAMES | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
"""Suites of Debian's main archive in apt's sources."""

KEYRINGS: Final = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
"""The files of Debian's package debian-archive-keyring."""

ETC_APT: Final = Path("/etc/apt")
LISTS: Final = Path("/var/lib/apt/lists")
"""Where apt keeps the Release file of each source after an update."""

_ACCESS_SETTINGS: Final = (
    *("Acquire::http", "Acquire::https"),
    *("Acquire::Check-Valid-Until", "Acquire::Check-Date"),
)
_SUFFIXES: Final = ("", "-updates", "-security")
_LABELS: Final = frozenset(["Debian", "Debian-Security"])
_SCHEMES: Final = ("http://", "https://", "mirror+file:", "file:", "copy:")
# With or without the day of a snapshot.
_PATH: Final = re.compile(r"/debian(-security)?(/[0-9]{8}T[0-9]{6}Z)?$")


@dataclass(frozen=True)
class Source:
    """One archive in apt's sources.

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
    """How well it is proved that a source is Debian's own archive; more is better."""

    NONE = 0
    PATH = 1
    KEY = 2
    RELEASE = 3


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the sources of a `.list` file: ``deb [options] uri suite components``."""
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
    """Yield the sources of a `.sources` file: stanzas of ``Field: value``."""
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
    path = next((Path(key) for key in re.split(r"[,\s]+", keys) if key.startswith("/")), None)
    inside = bool(keys.strip()) and path is None
    return Source(uri.rstrip("/"), suite, tuple(components), path, inside)


def read(etc_apt: Path = ETC_APT) -> list[Source]:
    """Return every source of this machine, in apt's order."""
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
    """Return how well it is proved that a source is Debian's own archive or a mirror of it.

    Names alone prove nothing: other archives have a suite `stable` with a component `main` too,
    and some of them are under `/debian`.
    """
    # The Release file names the archive's publisher, and apt has checked its signature.
    fields = _release(source, lists)
    if fields is not None:
        debian = fields.get("origin") == "Debian" and fields.get("label") in _LABELS
        return Evidence.RELEASE if debian else Evidence.NONE
    # Only Debian can sign with Debian's keys; other keys belong to other publishers.
    if source.signed_by is not None:
        debian = source.signed_by.name.startswith("debian-archive-")
        return Evidence.KEY if debian else Evidence.NONE
    if source.key_inside:
        return Evidence.NONE
    # Never updated, and checked with all keys that apt trusts: the usual address must suffice.
    codename = source.suite.partition("-")[0] in CODENAMES
    return Evidence.PATH if codename and _PATH.search(source.uri) else Evidence.NONE


def _release(source: Source, lists: Path) -> dict[str, str] | None:
    """Return the fields of a source's Release file by lower-case name; None if apt has none."""
    # As in apt's URItoFileName: without the scheme and the user, some characters quoted.
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
    """Return the source that most likely mirrors Debian's main archive; None if none does."""
    return _best(sources, "", lists)


def _best(sources: Iterable[Source], suffix: str, lists: Path) -> Source | None:
    candidates = [
        (source, grade)
        for source in sources
        if source.suite.endswith(suffix)
        and source.suite.removesuffix(suffix) in SUITES
        and "main" in source.components
        and source.uri.startswith(_SCHEMES)
        and (grade := evidence(source, lists))
    ]
    # A snapshot of the past may lack the suite we want, so it comes last.
    found = min(
        candidates,
        key=lambda candidate: ("snapshot" in candidate[0].uri, -candidate[1]),
        default=None,
    )
    return found[0] if found else None


def lines(sources: Iterable[Source], release: str, lists: Path = LISTS) -> list[str]:
    """Return apt's lines for a Debian release, from the mirrors that a machine uses.

    Args:
        sources: The machine's archives; not all need be Debian's.
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
    """Return the address to use: of a list of mirrors in a file, the first one."""
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    for line in path.read_text(encoding="utf-8").splitlines():
        address = line.partition("#")[0].split()
        if address:
            return address[0]
    return uri


def keyring(source: Source | None) -> Path | None:
    """Return the keyring that checks the mirror's signature; None if there is none."""
    candidates = [source.signed_by] if source and source.signed_by else []
    return next((path for path in [*candidates, *KEYRINGS] if path.is_file()), None)


def access_options() -> list[str]:
    """Return apt's options that this machine needs to reach and accept its mirrors.

    Whatever apt needs here (a proxy, a release file past its date), it needs inside an image too.

    Returns:
        Lines such as ``Acquire::http::Proxy "http://proxy.example:3128"``.
    """
    if not shutil.which("apt-config"):
        return []
    shown = subprocess.run(
        ["apt-config", "dump", "--format", '%f "%v"%n', *_ACCESS_SETTINGS],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [line for line in shown.splitlines() if "::" in line and not line.endswith('""')]
