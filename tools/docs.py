"""``python -m tools.docs``: the documentation as a site, in ``dist/docs``.

What a page links to is laid out as it is in the repository, so that one link is right on
both. Every warning of the generator is an error: a link to nowhere, a page in no menu.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.common import DIST, ROOT, BuildError, say

SOURCES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
    *("docs", "examples", "build/ROOTFS.md"),
)
"""What the site is made of, from the repository's root."""

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:)?//[^>]*>"""
    r"""|<link\b[^>]*\bhref=["']?(https?:)?//[^>]*>|@import|url\(["']?(https?:)?//""",
    re.IGNORECASE,
)
"""What makes a browser fetch something from another site."""


def build(site: Path = DIST / "docs") -> Path:
    """Build the site and return its folder.

    Raises:
        BuildError: the generator warns, or a page would load something from elsewhere.
    """
    _lay_out(DIST / "docs-source")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--clean"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"the documentation has faults:\n{done.stderr}", "mend what is named")
    if faults := [f"{page.relative_to(site)}: {what}" for page, what in from_elsewhere(site)]:
        raise BuildError("pages load from other sites: " + ", ".join(faults), "bring it along")
    say(f"{site / 'index.html'}")
    return site


def from_elsewhere(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page or style sheet that loads something from another site, and what."""
    for page in sorted(site.rglob("*")):
        if page.suffix in {".html", ".css", ".svg"}:
            for found in _LOADED.finditer(page.read_text(errors="replace")):
                yield page, found[0]


def _lay_out(target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    for source in SOURCES:
        origin, copy = ROOT / source, target / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, copy)


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(f"error: {error}")
