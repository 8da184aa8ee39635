"""``python -m tools.docs``: builds the documentation as a site, in ``dist/docs``.

The site has the folders of the repository, so that a link works in both. Every warning of the
generator is an error: a broken link, a page that is in no menu.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.common.checkout import DIST, ROOT
from tools.common.errors import BuildError, ToolError
from tools.common.programs import run_step
from tools.common.progress import report

SOURCES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"),
    *("docs", "examples", "build/ROOTFS.md"),
)
"""Files and folders of the site, relative to the repository's root."""

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:)?//[^>]*>"""
    r"""|<link\b[^>]*\bhref=["']?(https?:)?//[^>]*>|@import|url\(["']?(https?:)?//""",
    re.IGNORECASE,
)
"""Tags and rules that make a browser load something from another site."""


def build(site: Path = DIST / "docs") -> Path:
    """Build the site and return its folder.

    Raises:
        BuildError: The generator warns, or a page would load something from another site.
    """
    _copy_sources(DIST / "docs-source")
    generate(ROOT)
    if loads := [f"{page.relative_to(site)}: {what}" for page, what in external_loads(site)]:
        raise BuildError(
            "pages load from other sites: " + ", ".join(loads),
            "keep a copy of these files in docs/ and load that",
        )
    report(f"built {site / 'index.html'}")
    return site


def generate(folder: Path) -> None:
    """Run the generator in the folder of its configuration.

    Raises:
        BuildError: It warns.
    """
    # With --quiet it counts no warnings, and --strict has nothing to act on.
    run_step(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"],
        "correct what the lines above name",
        cwd=folder,
    )


def external_loads(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page or style sheet that loads from another site, and the tag or rule."""
    for page in sorted(site.rglob("*")):
        if page.suffix in {".html", ".css", ".svg"}:
            for found in _LOADED.finditer(page.read_text(errors="replace")):
                yield page, found[0]


def _copy_sources(target: Path) -> None:
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
    except ToolError as error:
        sys.exit(f"error: {error}")
