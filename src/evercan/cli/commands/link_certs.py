"""``evercan link certs``: make a site's certificate authority and a certificate for each host."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evercan.cli.errors import CliError

AUTHORITY = "ca.key"
"""The file that only this command needs: who has it can make further hosts."""

_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,62})(?:=(.+))?")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:-]+")
_EXTENSIONS = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = {names}
"""


def certs(folder: Path, hosts: Sequence[str], days: int) -> int:
    """Make a certificate for each host, and the authority if the folder has none yet.

    Args:
        folder: where the authority is; the files of each host go into a folder of its name there.
        hosts: ``NAME`` or ``NAME=ADDRESS,ADDRESS``; others connect to the host at these addresses.
        days: how long the certificates are valid.

    Raises:
        CliError: a host is not written so, or openssl fails.
    """
    wanted = [_parsed(host) for host in hosts]
    if not shutil.which("openssl"):
        raise CliError("there is no program openssl", "install the package openssl")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / AUTHORITY).exists():
        _make_authority(folder, days)
        print(f"{folder / AUTHORITY}: keep it secret; with it, further hosts can be admitted")
    for name, addresses in wanted:
        _make_host(folder, name, addresses, days)
        print(f"{folder / name}: bring it to {name}, and give it to 'evercan link add --certs'")
    return 0


def _parsed(host: str) -> tuple[str, list[str]]:
    match = _HOST.fullmatch(host)
    addresses = [address for address in (match[2] or "").split(",") if address] if match else []
    if match is None or not all(_ADDRESS.fullmatch(address) for address in addresses):
        raise CliError(f"{host} is no host", "write NAME or NAME=ADDRESS,ADDRESS")
    return match[1], addresses or [match[1]]


def _make_authority(folder: Path, days: int) -> None:
    key = folder / AUTHORITY
    key.touch(mode=0o600)
    _make_key(key)
    _openssl(
        *("req", "-x509", "-new", "-key", str(key), "-out", str(folder / "ca.pem")),
        *("-days", str(days), "-subj", "/CN=evercan site"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )


def _make_host(folder: Path, name: str, addresses: Sequence[str], days: int) -> None:
    target = folder / name
    target.mkdir(mode=0o700, exist_ok=True)
    key = target / "link.key"
    key.touch(mode=0o600)
    _make_key(key)
    names = ",".join(
        f"{'IP' if _is_ip(address) else 'DNS'}:{address}" for address in [name, *addresses]
    )
    with tempfile.TemporaryDirectory() as scratch:
        request, extensions = Path(scratch, "request"), Path(scratch, "extensions")
        extensions.write_text(_EXTENSIONS.format(names=names))
        _openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
        _openssl(
            *("x509", "-req", "-in", str(request), "-out", str(target / "link.pem")),
            *("-CA", str(folder / "ca.pem"), "-CAkey", str(folder / AUTHORITY)),
            *("-CAcreateserial", "-CAserial", str(Path(scratch, "serial"))),
            *("-days", str(days), "-extfile", str(extensions)),
        )
    shutil.copy(folder / "ca.pem", target)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _make_key(key: Path) -> None:
    _openssl(
        *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-out", str(key)),
    )


def _openssl(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - the arguments are checked above
        ["openssl", *arguments],  # noqa: S607 - as the user's PATH has it
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise CliError(
            f"openssl {arguments[0]} failed: {done.stderr.strip()}",
            "correct what it names; OpenSSL 1.1.1 or newer is needed",
        )
