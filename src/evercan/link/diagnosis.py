"""Finds out why a link cannot be connected, and says what to do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import NamedTuple

_SECONDS = 3.0


class Problem(NamedTuple):
    """What keeps a link from working.

    Attributes:
        text: what happened, to what.
        remedy: what to do about it.
    """

    text: str
    remedy: str


def why_unconnected(endpoint: str, certificates: Path | None) -> Problem | None:
    """Connect to an endpoint as the link does, and return what goes wrong.

    Args:
        endpoint: ``tcp/10.0.0.5:7447`` or ``tls/…``; nothing is found out about others.
        certificates: folder with ca.pem, link.pem and link.key.

    Returns:
        None if nothing goes wrong, or if that cannot be found out.
    """
    protocol, _, address = endpoint.partition("/")
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if protocol not in ("tcp", "tls"):
        return None
    try:
        with socket.create_connection((host, int(port)), _SECONDS) as connection:
            if protocol == "tls" and certificates:
                return _refusal(connection, endpoint, host, certificates)
    except OSError as error:
        return Problem(
            f"cannot connect to {endpoint}: {error.strerror or error}",
            "start the link there, and let the network and its firewall pass this port",
        )
    return None


def _refusal(
    connection: socket.socket, endpoint: str, host: str, certificates: Path
) -> Problem | None:
    """Return why one end refuses the certificate of the other; None if none does."""
    try:
        _shake_hands(connection, host, certificates)
    except ssl.SSLCertVerificationError as error:
        return Problem(
            f"the certificate of {endpoint} is refused: {error.verify_message}",
            "give both hosts certificates of one authority, for the address that is connected to "
            "(evercan link certs)",
        )
    except ssl.SSLError as error:
        return Problem(
            f"{endpoint} refuses the certificate of this link: {_reason(error)}",
            "give both hosts certificates of one authority (evercan link certs)",
        )
    return None


def _shake_hands(connection: socket.socket, host: str, certificates: Path) -> None:
    """Do what a client of TLS does until the other end has judged its certificate."""
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "link.pem", certificates / "link.key")
    with context.wrap_socket(connection, server_hostname=host) as encrypted:
        # In TLS 1.3 the answer to the client's certificate comes after the handshake: an alert,
        # or silence.
        encrypted.settimeout(0.5)
        try:
            encrypted.recv(1)
        except TimeoutError:
            return


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's name of an alert, in words."""
    words = (error.reason or str(error)).lower().replace("_", " ")
    return words.removeprefix("tlsv1 alert ").removeprefix("tlsv13 alert ")
