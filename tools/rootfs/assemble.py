"""Assembles a root file system: interpreter, libraries, packages and nothing else.

It is that of the plugin, or of the link's image.

This runs inside the build image, under the interpreter that it copies, with the standard library
alone. `DROPPED` lists what is left out and why; ``build/ROOTFS.md`` has the reasons for the
layout (no site directory, bytecode without source).
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

STDLIB = Path(sysconfig.get_path("stdlib"))

# What a daemon never imports. Names are relative to the standard library, with ``*`` as a
# wildcard. The check stage of the Dockerfile imports everything that the daemon needs, so a
# wrong name here fails the build, not the plugin.
DROPPED = (
    # tests (unittest stays: pyroute2 imports unittest.mock)
    "test", "doctest.py", "lib-dynload/_test*", "lib-dynload/_ctypes_test*",
    "lib-dynload/_xxtestfuzz*", "lib-dynload/xx*",
    # development, packaging and teaching
    "_pyrepl", "ensurepip", "idlelib", "lib2to3", "pydoc.py", "pydoc_data", "this.py",
    "antigravity.py", "tkinter", "turtle.py", "turtledemo", "venv", "zipapp.py", "config-*",
    "__phello__", "pdb.py", "profile.py", "pstats.py", "cProfile.py", "lib-dynload/_lsprof*",
    "pickletools.py", "sitecustomize.py", "EXTERNALLY-MANAGED", "LICENSE.txt",
    # terminals and databases (sqlite3 stays: pyroute2 imports it)
    "curses", "lib-dynload/_curses*", "lib-dynload/readline*", "dbm", "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*",
    # other servers and formats
    "xmlrpc", "imaplib.py", "poplib.py", "smtplib.py", "ftplib.py",
    # East Asian multi-byte encodings: CAN bus names and logs are UTF-8
    "lib-dynload/_codecs_*", "lib-dynload/_multibytecodec*",
)  # fmt: skip
# TLS: the plugin makes no connections; no_tls.py replaces ssl; hashlib needs no OpenSSL. The link
# makes some, so its context has no no_tls.py.
TLS = ("ssl.py", "lib-dynload/_ssl*", "lib-dynload/_hashlib*")

# Parts of wheels that only compilers, type checkers and tests use; and one extension module that
# alone would need the C++ library, 2.5 MB to load at every start: frozenlist has the same in
# Python, and it is not used in a loop over frames or requests.
NOT_FOR_RUNNING = re.compile(
    r"(\.(pyx|pxd|pxi|pyi|c|h|hash|cpp|rst)|/py\.typed|\.dist-info/(RECORD|WHEEL|entry_points\.txt"
    r"|top_level\.txt))$|(^|/)(tests?|_testbase\.py|pytest_plugin\.py)(/|$)"
    r"|^frozenlist/_frozenlist\..*\.so$"
)

# glibc loads it by name when a thread is cancelled; no library is linked with it.
LOADED_BY_NAME = ("libgcc_s.so.1",)

EMPTY_FOLDERS = ("dev", "proc", "sys", "run/docker/plugins", "tmp", "var/lib/evercan")
ETC = {
    "passwd": "root:x:0:0:root:/:/nonexistent\n",
    "group": "root:x:0:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # The engine mounts the host's files over these.
    "hosts": "",
    "hostname": "",
    "resolv.conf": "",
}


def locked_hashes(requirements: str) -> frozenset[str]:
    """Return every sha256 digest (64 hexadecimal digits) named in a requirements file."""
    return frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirements))


def wanted_from_wheel(name: str) -> bool:
    """Tell whether a member of a wheel, by its path inside it, is needed to run."""
    return not name.endswith("/") and NOT_FOR_RUNNING.search(name) is None


def dropped(relative: str, *, tls: bool = False) -> bool:
    """Tell whether a path of the standard library, relative to its root, is left out.

    Args:
        relative: The path.
        tls: Keep what TLS needs.
    """
    path = PurePosixPath(relative)
    prefixes = [str(path), *map(str, path.parents)]
    return "__pycache__" in path.parts or any(
        fnmatchcase(prefix, pattern)
        for prefix in prefixes
        for pattern in (DROPPED if tls else DROPPED + TLS)
    )


def linked_libraries(ldd: str) -> list[str]:
    """Return the absolute paths in the output of ``ldd``.

    Raises:
        FileNotFoundError: A library was reported as not found.
    """
    if missing := re.findall(r"(\S+) => not found", ldd):
        raise FileNotFoundError(f"shared libraries missing in the build image: {missing}")
    return re.findall(r"(?:=>\s+|^\s+)(/\S+)", ldd, flags=re.MULTILINE)


def copy_stdlib(out: Path, *, tls: bool) -> None:
    """Copy the interpreter and the standard library, without what `dropped` names."""
    interpreter = out / "usr/bin/python3"
    interpreter.parent.mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), interpreter)
    target = out / STDLIB.relative_to("/")
    for source in sorted(STDLIB.rglob("*")):
        relative = source.relative_to(STDLIB)
        if source.is_file() and not dropped(relative.as_posix(), tls=tls):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / relative)


def unpack_wheels(wheels: Path, allowed: frozenset[str], target: Path) -> None:
    """Unpack every wheel of a folder into ``target``.

    Raises:
        ValueError: A wheel's digest is not in ``allowed``.
    """
    for wheel in sorted(wheels.glob("*.whl")):
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest not in allowed:
            raise ValueError(f"{wheel.name}: sha256 {digest} is not in the locked requirements")
        with zipfile.ZipFile(wheel) as archive:
            for name in filter(wanted_from_wheel, archive.namelist()):
                archive.extract(name, target)


def add_libraries(out: Path) -> None:
    """Copy each shared library that an ELF file of ``out`` needs, to the same path."""
    elves = [out / "usr/bin/python3", *sorted(out.rglob("*.so"))]
    wanted: set[str] = set()
    for elf in elves:
        run = subprocess.run(["ldd", elf], check=True, capture_output=True, text=True)
        wanted.update(linked_libraries(run.stdout))
    libc = next(Path(path) for path in wanted if path.endswith("/libc.so.6"))
    wanted.update(str(libc.parent / name) for name in LOADED_BY_NAME)
    for link in ("lib", "lib64"):  # as in Debian: the loader's path goes through them
        if Path("/", link).is_symlink():
            (out / link).symlink_to(f"usr/{link}")
    for path in map(Path, sorted(wanted)):
        target = out / path.parent.resolve().relative_to("/") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    # With a cache the loader opens each library directly instead of searching folders.
    (out / "etc/ld.so.conf").write_text(f"{os.path.realpath(libc.parent)}\n")
    subprocess.run(["ldconfig", "-X", "-r", out], check=True)
    shutil.rmtree(out / "var/cache", ignore_errors=True)
    # Debian's libraries are stripped; the wheels contain 20 MB of debug symbols.
    subprocess.run(["strip", "--strip-unneeded", *elves], check=True)


def compile_to_bytecode(library: Path, out: Path) -> None:
    """Replace the sources of ``library`` by bytecode; evercan's own sources are kept beside it.

    With unchecked hashes the bytecode contains no file time, and an import reads none.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    own = library / "evercan"
    for folder, legacy, names in ((own, False, r"^$"), (library, True, "/evercan/")):
        if not compileall.compile_dir(
            folder, quiet=1, legacy=legacy, stripdir=str(out), prependdir="/",
            rx=re.compile(names), invalidation_mode=mode, maxlevels=20,
        ):  # fmt: skip
            raise SyntaxError(f"bytecode compilation failed under {folder}")
    for source in library.rglob("*.py"):
        if own not in source.parents:
            source.unlink()


def add_origins(out: Path) -> None:
    """Write which Debian packages the files come from, and copy their copyright notes."""
    docs = out / "usr/share/doc"
    owners: dict[str, str] = {}
    for path in [sys.executable, *(f"/{p.relative_to(out)}" for p in out.rglob("*.so*"))]:
        query = ["dpkg-query", "-S", os.path.realpath(path)]
        found = subprocess.run(query, check=False, capture_output=True, text=True).stdout
        if found:
            owners[found.split(":")[0]] = ""
    for owner in owners:
        shown = ["dpkg-query", "-W", "-f", "${Version}", owner]
        owners[owner] = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        note = Path("/usr/share/doc", owner, "copyright")
        if note.is_file():
            (docs / owner).mkdir(parents=True, exist_ok=True)
            shutil.copy(note, docs / owner / "copyright")
    lines = [f"{name} {version}\n" for name, version in sorted(owners.items())]
    (docs / "evercan").mkdir(parents=True, exist_ok=True)
    (docs / "evercan/debian-packages").write_text("".join(lines))


def assemble(context: Path, out: Path, epoch: int) -> None:
    """Assemble the root file system in ``out`` from a build context.

    Args:
        context: A folder with ``wheels/``, ``src/evercan`` and ``requirements.txt``. With a file
            ``no_tls.py`` this takes the place of the module ``ssl``.
        out: A folder that does not exist yet.
        epoch: The time of every file, in seconds since 1970.
    """
    library = out / STDLIB.relative_to("/")
    no_tls = context / "no_tls.py"
    copy_stdlib(out, tls=not no_tls.is_file())
    allowed = locked_hashes((context / "requirements.txt").read_text())
    unpack_wheels(context / "wheels", allowed, library)
    shutil.copytree(context / "src/evercan", library / "evercan")
    if no_tls.is_file():
        shutil.copy(no_tls, library / "ssl.py")
    for folder in EMPTY_FOLDERS:
        (out / folder).mkdir(parents=True, exist_ok=True)
    (out / "etc").mkdir()
    for name, text in ETC.items():
        (out / "etc" / name).write_text(text)
    add_libraries(out)
    compile_to_bytecode(library, out)
    add_origins(out)
    for path in [out, *out.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    (out / "tmp").chmod(0o1777)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
