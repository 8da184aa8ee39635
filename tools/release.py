"""Makes what a release consists of: tarballs, lists of components, checksums, text, tags.

``.github/workflows/release.yml`` calls these commands, and each can be run by hand:

    python -m tools.release check v0.2.0          the tag, the version and the changelog agree
    python -m tools.release pack dist/release     tarball and SBOMs of the plugin in dist/plugin
    python -m tools.release sums dist/release     SHA256SUMS of everything in the folder
    python -m tools.release notes                 the release's text, from CHANGELOG.md
    python -m tools.release reproduce             build again, and compare with dist/plugin

A tarball has the plugin in the form in which a registry stores it, and a small registry that
serves it; ``install.sh`` runs that on the engine's host. The same plugin gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from tools import archive, loopback_registry, sbom, upgrade
from tools.common.checkout import ROOT
from tools.common.errors import BuildError, ToolError
from tools.plugin import PLUGIN, build, commit_time

VERSION_FILE: Final = ROOT / "src/evercan/__init__.py"
CHANGELOG: Final = ROOT / "CHANGELOG.md"
INSTALLER: Final = ROOT / "install.sh"
SUMS: Final = "SHA256SUMS"

_ELF_MACHINES: Final = {62: "amd64", 183: "arm64", 40: "arm"}
"""Architectures by the number in an ELF header (``e_machine``)."""


def version() -> str:
    """Return the version of this checkout, from the one place that has it.

    Raises:
        BuildError: The file has none.
    """
    found = re.search(r'^__version__ = "([^"]+)"$', VERSION_FILE.read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{VERSION_FILE} has no __version__", 'add: __version__ = "X.Y.Z"')
    return found[1]


def architecture_of(rootfs: Path) -> str:
    """Return the architecture that a root file system's interpreter was compiled for.

    Raises:
        BuildError: It has no interpreter, or one for an architecture that evercan does not name.
    """
    interpreter = rootfs / "usr/bin/python3"
    remedy = "build it: python -m tools.plugin"
    try:
        with interpreter.open("rb") as stream:
            header = stream.read(20)
    except OSError as error:
        raise BuildError(f"cannot read {interpreter}: {error.strerror}", remedy) from error
    machine = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or machine not in _ELF_MACHINES:
        raise BuildError(f"{interpreter} is no program for {_known()}", remedy)
    return _ELF_MACHINES[machine]


def _known() -> str:
    return ", ".join(_ELF_MACHINES.values())


def released(documentation: str, number: str, architecture: str) -> str:
    """Return the documentation of a released plugin, by which `install.sh` and doctor know it."""
    return f"{documentation} Version {number} for {architecture}."


@contextmanager
def _released_plugin(plugin: Path, expected: str | None) -> Iterator[tuple[Path, str]]:
    """Yield a plugin's folder with the release's documentation in it, and its architecture.

    Raises:
        BuildError: The plugin is not built, or not for the expected architecture.
    """
    architecture = architecture_of(plugin / "rootfs")
    if expected not in (None, architecture):
        raise BuildError(
            f"{plugin} is built for {architecture} and not for {expected}",
            f"build it on a machine with {expected}",
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "plugin")
        folder.mkdir()
        (folder / "rootfs").symlink_to((plugin / "rootfs").resolve())
        fields = json.loads((plugin / "config.json").read_text())
        fields["documentation"] = released(fields["documentation"], version(), architecture)
        (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
        yield folder, architecture


def pack(target: Path, plugin: Path = PLUGIN, expected: str | None = None) -> Path:
    """Write a plugin's tarball and its lists of components.

    Args:
        target: The folder to write to; it is created if necessary.
        plugin: A folder with config.json and rootfs/.
        expected: The architecture that it must have; None for any.

    Returns:
        The tarball, ``evercan-plugin-X.Y.Z-ARCH.tar.gz``.

    Raises:
        BuildError: The plugin is not built, or not for the expected architecture.
    """
    target.mkdir(parents=True, exist_ok=True)
    with (
        _released_plugin(plugin, expected) as (folder, architecture),
        tempfile.TemporaryDirectory(dir=target) as scratch,
    ):
        name = f"evercan-plugin-{version()}-{architecture}"
        parts = sbom.components(folder / "rootfs", architecture)
        tree = Path(scratch, "tree")
        registry = tree / name / "registry"
        registry.mkdir(parents=True)
        layer = upgrade.write_blobs(folder, registry)
        shutil.copyfile(loopback_registry.__file__, registry / "serve.py")
        config = json.loads((folder / "config.json").read_text())
        (tree / name / "about").write_text(
            f"version={version()}\narchitecture={architecture}\nlayer={layer.name}\n"
            f"documentation={config['documentation']}\n"
        )
        for path in archive.members(tree):
            path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask is
        packed = Path(scratch, "packed")
        # Without the file's name and time, which gzip would write into its header.
        with packed.open("wb") as stream, gzip.GzipFile("", "wb", 9, stream, mtime=0) as zipped:
            archive.write_tar(tree, cast("IO[bytes]", zipped))
        tarball = packed.rename(target / f"{name}.tar.gz")
        tarball.chmod(0o644)
        described = f"evercan-plugin-{architecture}", version(), parts, commit_time()
        for ending, document in (
            ("spdx", sbom.spdx(*described)),
            ("cdx", sbom.cyclonedx(*described)),
        ):
            text = json.dumps(document, indent=2, sort_keys=True) + "\n"
            (target / f"evercan-plugin-{architecture}.{ending}.json").write_text(text)
    return tarball


def write_sums(folder: Path) -> Path:
    """Write ``SHA256SUMS`` of all files in a folder, in the format of ``sha256sum``.

    Raises:
        BuildError: The folder has no files.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    if not files:
        raise BuildError(f"there are no files in {folder}", "run: python -m tools.release pack")
    lines = [f"{upgrade.digest_of(path)}  {path.name}\n" for path in files]
    sums = folder / SUMS
    sums.write_text("".join(lines))
    return sums


def notes(number: str, changelog: str) -> str:
    """Return a version's section of the changelog, without its heading.

    Args:
        number: The version, such as ``0.2.0``.
        changelog: The changelog's text.

    Raises:
        BuildError: It has no such section, or an empty one.
    """
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    heading = re.compile(rf"\[?{re.escape(number)}\]?( .*)?\n")
    found = next((section for section in sections if heading.match(section)), "")
    text = found.partition("\n")[2].strip()
    if not text:
        raise BuildError(
            f"CHANGELOG.md has no text for version {number}",
            f"name the section of the changes '## {number}'",
        )
    return text + "\n"


def check(tag: str) -> None:
    """Check that a tag names this checkout's version, and that everything agrees with it.

    Raises:
        BuildError: They do not agree.
    """
    number = version()
    if tag != f"v{number}":
        raise BuildError(
            f"the tag {tag} is not v{number}, the version in src/evercan/__init__.py",
            "change the version, or tag another commit",
        )
    if f"\nVERSION={number}\n" not in INSTALLER.read_text():
        raise BuildError(f"install.sh does not install {number}", f"set VERSION={number} in it")
    notes(number, CHANGELOG.read_text())


def reproduce(plugin: Path = PLUGIN) -> str:
    """Build the plugin again, from scratch, and compare the result with the last build.

    Returns:
        The hash of the root file system, which is the same in both.

    Raises:
        BuildError: They differ, or nothing is built.
    """
    if not (plugin / "rootfs").is_dir():
        raise BuildError(f"there is no plugin in {plugin}", "run: python -m tools.plugin")
    before = archive.tree_hash(plugin / "rootfs")
    again = build(from_scratch=True).content
    if again != before:
        raise BuildError(
            f"a second build has the content {again} and not {before}",
            f"compare the two files {sbom.DEBIAN_PACKAGES}; Debian's mirror may have changed",
        )
    return before


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version")
    commands.add_parser("notes")
    commands.add_parser("reproduce")
    commands.add_parser("check").add_argument("tag")
    commands.add_parser("sums").add_argument("folder", type=Path)
    command = commands.add_parser("pack")
    command.add_argument("folder", type=Path)
    command.add_argument("--plugin", type=Path, default=PLUGIN)
    command.add_argument("--expect", metavar="ARCHITECTURE", help="fail for any other one")
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "version":
                print(version())
            case "notes":
                print(notes(version(), CHANGELOG.read_text()), end="")
            case "check":
                check(options.tag)
            case "sums":
                print(write_sums(options.folder).read_text(), end="")
            case "pack":
                print(pack(options.folder, options.plugin, options.expect))
            case "reproduce":
                print(f"sha256:{reproduce()}")
    except ToolError as error:
        sys.exit(f"evercan: {error}")


if __name__ == "__main__":
    main()
