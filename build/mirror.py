"""Where this machine gets Debian from, read from its own apt configuration.

No mirror's address is written anywhere in the project: an image that has to be
made from packages takes them from where the machine's own packages come from.
Both formats of apt's sources are read: one line each, and deb822.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")


@dataclass(frozen=True)
class Source:
    """One binary archive in apt's configuration."""

    uri: str
    suite: str
    components: tuple[str, ...]
    keyring: str | None = None

    def line(self, suite: str) -> str:
        """Returns the one-line form of this archive for another suite, ``main`` only."""
        return f"deb {self.uri} {suite} main"


def parse_one_line(text: str) -> Iterator[Source]:
    """Yields the binary archives of a ``.list`` file."""
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.match(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)", line)
        if match:
            options, uri, suite, components = match.groups()
            keyring = re.search(r"signed-by=(\S+)", options or "")
            yield Source(
                uri.rstrip("/"), suite, tuple(components.split()), keyring and keyring.group(1)
            )


def parse_deb822(text: str) -> Iterator[Source]:
    """Yields the binary archives of a ``.sources`` file, disabled stanzas left out."""
    # A comment may stand between the lines of a stanza and does not end it.
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(r"^(\S+?):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        # A key given inline (it starts with a PGP header) is not a path.
        keyring = fields.get("signed-by", "")
        path = keyring if keyring.startswith("/") else None
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri.rstrip("/"), suite, components, path)


def read_sources(apt: Path = APT) -> list[Source]:
    """Returns all enabled binary archives of a machine, in apt's order."""
    found: list[Source] = []
    folder = apt / "sources.list.d"
    for path in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        if path.is_file():
            found.extend(parse_one_line(path.read_text()))
    for path in sorted(folder.glob("*.sources")):
        found.extend(parse_deb822(path.read_text()))
    return found


# Debian's archive signs with these; a third party's repository never does.
_DEBIAN_SUITE = re.compile(
    r"(bookworm|trixie|forky|sid|stable|testing|unstable)(-updates|-security)?$"
)


def debian_lines(sources: list[Source], release: str) -> list[str]:
    """Returns apt lines for a Debian release from the mirrors that a machine uses.

    Args:
        sources: the machine's archives; third parties' may be among them.
        release: code name, for example ``trixie``.

    Returns:
        The release itself, then its updates and its security archive where the
        machine's own release has them; empty if no Debian mirror is configured.
    """
    debian = [s for s in sources if _DEBIAN_SUITE.match(s.suite) and "main" in s.components]
    lines: list[str] = []
    for suffix in ("", "-updates", "-security"):
        for source in debian:
            own = source.suite.endswith(suffix) if suffix else "-" not in source.suite
            if own:
                lines.append(source.line(release + suffix))
                break
    return lines if lines and lines[0].split()[2] == release else []


def debian_keyring(sources: list[Source]) -> str | None:
    """Returns the path of the keyring that the machine checks Debian with, if it names one."""
    for source in sources:
        if _DEBIAN_SUITE.match(source.suite) and source.keyring:
            return source.keyring
    return None
