"""A plugin's folder as the build makes it, with next to nothing in it."""

from __future__ import annotations

import json
from pathlib import Path

from tools.sbom import DEBIAN_PACKAGES

_MACHINES = {"amd64": 62, "arm64": 183, "arm": 40}


def small_plugin(folder: Path, architecture: str = "amd64") -> Path:
    """Write a plugin for an architecture: an interpreter's header, and lists of packages."""
    rootfs = folder / "plugin/rootfs"
    header = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + _MACHINES[architecture].to_bytes(2, "little")
    metadata = "Metadata-Version: 2.4\nName: Uv.Loop\nVersion: 1.0\nLicense-Expression: MIT\n"
    for name, content in (
        ("usr/bin/python3", header),
        ("usr/lib/python3.13/uv_loop-1.0.dist-info/METADATA", metadata.encode()),
        (DEBIAN_PACKAGES, b"zlib1g 1:1.3+x\n"),
    ):
        file = rootfs / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    config = {"documentation": "D. Build 2.", "entrypoint": ["/usr/bin/python3"]}
    (folder / "plugin/config.json").write_text(json.dumps(config))
    return folder / "plugin"
