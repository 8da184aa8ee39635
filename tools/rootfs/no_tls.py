"""Stands in for the standard library's ``ssl`` in the plugin's root file system, which has no TLS.

The plugin listens on a unix socket and, if told to, serves plain metrics on TCP; it
calls nobody. uvloop and ``prometheus_client`` import ``ssl`` all the same and take these
names from it; behind the real one stands OpenSSL: 8 MB of disk, 5 of memory, and most of
the security updates that a root file system of Python needs. ``check`` imports
everything on top of this, so a release that wants more of it stops the build.
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
    """What the real module raises, and this one for whatever would need TLS."""


class SSLWantReadError(SSLError):
    """Named by who catches it."""


class SSLWantWriteError(SSLError):
    """Named by who catches it."""


class SSLSyscallError(SSLError):
    """Named by who catches it."""


class SSLEOFError(SSLError):
    """Named by who catches it."""


class SSLZeroReturnError(SSLError):
    """Named by who catches it."""


class SSLCertVerificationError(SSLError, ValueError):
    """Named by who catches it."""


CertificateError = SSLCertVerificationError


class SSLContext:
    """May be made and set, since aiohttp's client does so at its import; encrypts nothing."""

    def __init__(self, protocol: int = PROTOCOL_TLS_CLIENT) -> None:
        """Take what the real one takes."""
        self.protocol = protocol
        self.options = 0
        self.check_hostname = False
        self.verify_mode = CERT_NONE

    def set_alpn_protocols(self, protocols: object) -> None:
        """Do nothing."""

    def set_default_verify_paths(self) -> None:
        """Do nothing."""

    def wrap_socket(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        _refuse()

    def wrap_bio(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        _refuse()


class MemoryBIO:
    """Named by uvloop."""

    def __init__(self) -> None:
        """Refuse."""
        _refuse()


class SSLObject:
    """Named by who tells TLS from plain."""


class SSLSocket:
    """Named by who tells TLS from plain."""


def create_default_context(*_: object, **__: object) -> SSLContext:
    """Make a context that encrypts nothing."""
    return SSLContext()


def _refuse() -> NoReturn:
    raise SSLError("the evercan plugin has no TLS: see build/ROOTFS.md")
