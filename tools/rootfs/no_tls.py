"""Replaces the standard library's ``ssl`` in the plugin's root file system, which has no TLS.

The plugin listens on a unix socket and, if configured, serves plain metrics on TCP; it makes no
connections. But uvloop and ``prometheus_client`` import ``ssl`` and use these names. The real
module needs OpenSSL: 8 MB of disk, 5 MB of memory, and most of the security updates of a root
file system with Python. ``check`` imports everything on top of this module, so the build fails
if a new release of a package needs more of it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL = 2, 3, 5
OP_NO_COMPRESSION, OP_NO_SSLv2, OP_NO_SSLv3 = 0x2_0000, 0, 0x200_0000
PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 2, 16, 17


class TLSVersion(IntEnum):
    """Versions of TLS, as default arguments name them."""

    TLSv1_2 = 0x303
    TLSv1_3 = 0x304


class SSLError(OSError):
    """Base of the errors; raised by everything that would need TLS."""


class SSLWantReadError(SSLError):
    """Only named in ``except`` clauses."""


class SSLWantWriteError(SSLError):
    """Only named in ``except`` clauses."""


class SSLSyscallError(SSLError):
    """Only named in ``except`` clauses."""


class SSLEOFError(SSLError):
    """Only named in ``except`` clauses."""


class SSLZeroReturnError(SSLError):
    """Only named in ``except`` clauses."""


class SSLCertVerificationError(SSLError, ValueError):
    """Only named in ``except`` clauses."""


CertificateError = SSLCertVerificationError


class SSLContext:
    """Can be created and configured, as aiohttp's client does when it is imported."""

    def __init__(self, protocol: int = PROTOCOL_TLS_CLIENT) -> None:
        """Accept the arguments of the real class."""
        self.protocol = protocol
        self.options = 0
        self.check_hostname = False
        self.verify_mode = CERT_NONE

    def set_alpn_protocols(self, protocols: object) -> None:
        """Do nothing."""

    def set_default_verify_paths(self) -> None:
        """Do nothing."""

    def wrap_socket(self, *_: object, **__: object) -> NoReturn:
        """Raise `SSLError`."""
        _raise_no_tls()

    def wrap_bio(self, *_: object, **__: object) -> NoReturn:
        """Raise `SSLError`."""
        _raise_no_tls()


class MemoryBIO:
    """Only named by uvloop."""

    def __init__(self) -> None:
        """Raise `SSLError`."""
        _raise_no_tls()


class SSLObject:
    """Only named in type checks."""


class SSLSocket:
    """Only named in type checks."""


def create_default_context(*_: object, **__: object) -> SSLContext:
    """Return a context that cannot encrypt."""
    return SSLContext()


def _raise_no_tls() -> NoReturn:
    raise SSLError("the evercan plugin has no TLS: see build/ROOTFS.md")
