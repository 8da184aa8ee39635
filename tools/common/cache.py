"""The project's folder in the user's cache, and keys for what is kept in it."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def cache_dir(*parts: str) -> Path:
    """Return a folder in evercan's part of the user's cache; make it if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base, "evercan", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def content_key(parts: Iterable[tuple[str, Path | str]]) -> str:
    """Hash named parts: the text of a string, or the content of a file or a folder.

    Names, contents and the executable bit of files count. Bytecode does not, and neither
    does the place where a file lies.

    Args:
        parts: Pairs of a label and a text, a file, or a folder with all files in it.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for label, part in parts:
        for name, data in _entries(label, part):
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()[:16]


def _entries(label: str, part: Path | str) -> list[tuple[str, bytes]]:
    if isinstance(part, str):
        return [(label, part.encode())]
    if not part.is_dir():
        return [(_marked(label, part), part.read_bytes())]
    return [
        (_marked(f"{label}/{path.relative_to(part).as_posix()}", path), path.read_bytes())
        for path in sorted(part.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _marked(name: str, file: Path) -> str:
    """Add a mark to the name of an executable file."""
    return f"{name}*" if file.stat().st_mode & 0o111 else name
