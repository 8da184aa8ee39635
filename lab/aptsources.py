"""Finds a Debian mirror in this machine's own apt sources.

Nothing here names a mirror: what the machine's apt may use, the lab uses.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUITES: Final = frozenset(
    [
        *("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
        *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
    ]
)
"""Names a Debian main archive goes by in apt's sources."""

KEYRINGS: Final = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
"""Where Debian's package debian-archive-keyring puts its keys."""


@dataclass(frozen=True)
class Source:
    """One archive that apt is told of.

    Attributes:
        uri: The archive's address.
        suite: Its suite, `bookworm` or `bookworm-updates`.
        components: `main` and the like.
        signed_by: The keyring's path, if the source names one.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: Path | None = None


def parse_one_line(text: str) -> Iterator[Source]:
    """Sources of a `.list` file: ``deb [options] uri suite components``."""
    for line in text.splitlines():
        fields = shlex.split(line, comments=True)
        if len(fields) < 3 or fields[0] != "deb":
            continue
        fields, signed_by = fields[1:], None
        if fields[0].startswith("["):
            end = next((i for i, field in enumerate(fields) if field.endswith("]")), None)
            if end is None:
                continue
            options = " ".join(fields[: end + 1]).strip("[] ").split()
            signed_by = _path([o.partition("=")[2] for o in options if o.startswith("signed-by=")])
            fields = fields[end + 1 :]
        if len(fields) >= 2:
            yield Source(fields[0], fields[1], tuple(fields[2:]), signed_by)


def parse_deb822(text: str) -> Iterator[Source]:
    """Sources of a `.sources` file: stanzas of ``Field: value``."""
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split():
            continue
        if stanza.get("enabled", "yes").strip().lower() in {"no", "false", "0"}:
            continue
        components = tuple(stanza.get("components", "").split())
        # A key may stand in the field itself; then there is no path.
        signed_by = _path(stanza.get("signed-by", "").split())
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Source(uri, suite, components, signed_by)


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


def _path(values: Iterable[str]) -> Path | None:
    for value in values:
        if value.startswith("/"):
            return Path(value.split(",", maxsplit=1)[0])
    return None


def best(sources: Iterable[Source]) -> Source | None:
    """The source that most likely mirrors the whole Debian archive.

    A snapshot of the past has the suite we want only by luck, so it comes last.
    """
    able = [
        source
        for source in sources
        if source.suite in SUITES
        and "main" in source.components
        and source.uri.startswith(("http://", "https://", "mirror+file:", "file:", "copy:"))
    ]
    return min(able, key=lambda source: "snapshot" in source.uri, default=None)


def read(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
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
