"""The link's environment, as frozen values; every mistake is reported at once."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from evercan.errors import SettingsError
from evercan.link.names import is_name

PORT = 7447
PROTOCOLS = ("tcp", "tls", "quic")
ENCRYPTED = ("tls", "quic")
LOG_LEVELS = ("debug", "info", "warning", "error")
_ENDPOINT = re.compile(r"(?:([a-z]+)/)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Settings:
    """How a link runs.

    Attributes:
        bus: the bus's name, the same on all hosts that share it.
        host: this host's name, another one on each host.
        listen: endpoints to listen on, as Zenoh writes them (``tls/0.0.0.0:7447``).
        connect: endpoints of other links.
        interface: the CAN interface; empty for the only one.
        deadline: age in ns from which on received frames are dropped.
        http: host and port for ``/health`` and ``/metrics``.
        certificates: folder with ``ca.pem``, ``link.pem`` and ``link.key``; None without TLS.
        allow: hosts whose certificates may take part; empty for all of the certificate authority.
        log_level: lowest level that is written.
        playout: age in ns at which a received frame is written to the bus; 0 for at once.
        rate: frames per second that are taken from each other host; 0 for all.
    """

    bus: str
    host: str
    listen: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    interface: str = ""
    deadline: int = 100_000_000
    http: tuple[str, int] = ("0.0.0.0", 9481)  # noqa: S104 - a container's own network
    certificates: Path | None = None
    allow: tuple[str, ...] = ()
    log_level: str = "info"
    playout: int = 0
    rate: float = 0


def endpoint(text: str, *, encrypted: bool) -> str:
    """Complete ``[PROTOCOL/]ADDRESS[:PORT]`` to what Zenoh takes.

    Args:
        text: what the user wrote.
        encrypted: whether there are certificates: then the protocol is TLS if none is given.

    Raises:
        ValueError: with what is wrong and what to write.
    """
    match = _ENDPOINT.fullmatch(text)
    port = int(match[3] or PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError("is no endpoint; write [PROTOCOL/]ADDRESS[:PORT], as in 10.0.0.5:7447")
    protocol = match[1] or ("tls" if encrypted else "tcp")
    if protocol not in PROTOCOLS:
        raise ValueError(f"has an unknown protocol; choose one of {', '.join(PROTOCOLS)}")
    if protocol in ENCRYPTED and not encrypted:
        raise ValueError(f"needs certificates for {protocol}; set LINK_CERTS to their folder")
    if protocol not in ENCRYPTED and encrypted:
        raise ValueError("is not encrypted, and LINK_CERTS is set; write tls/ or quic/ before it")
    return f"{protocol}/{match[2]}:{port}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the ``LINK_*`` variables; an empty one counts as not set.

    Raises:
        SettingsError: lists every variable that is wrong, with what it may be.
    """
    read = _Reader(environment)
    certificates = Path(folder) if (folder := read.text("LINK_CERTS")) else None
    encrypted = certificates is not None

    def endpoints(value: str) -> tuple[str, ...]:
        return tuple(endpoint(part, encrypted=encrypted) for part in _parts(value))

    settings = Settings(
        bus=read.value("LINK_BUS", _name, ""),
        host=read.value("LINK_HOST", _name, socket.gethostname()),
        listen=read.value("LINK_LISTEN", endpoints, ""),
        connect=read.value("LINK_CONNECT", endpoints, ""),
        interface=read.text("LINK_INTERFACE"),
        deadline=read.value("LINK_DEADLINE", _milliseconds, "100"),
        playout=read.value("LINK_PLAYOUT", _milliseconds_or_none, "0"),
        rate=read.value("LINK_RATE", _rate, "0"),
        http=read.value("LINK_HTTP", _address, "0.0.0.0:9481"),
        certificates=certificates,
        allow=read.value("LINK_ALLOW", _names, ""),
        log_level=read.value("LINK_LOG_LEVEL", _log_level, "info"),
    )
    if not (settings.listen or settings.connect) and not read.mistakes:
        read.mistakes.append(
            "neither LINK_LISTEN nor LINK_CONNECT is set; name an address to listen on or the "
            "address of another link"
        )
    if settings.playout >= settings.deadline and not read.mistakes:
        read.mistakes.append(
            f"LINK_PLAYOUT={read.text('LINK_PLAYOUT')!r} is not shorter than LINK_DEADLINE, so "
            "that every frame would be too late; set a longer deadline"
        )
    if settings.allow and not encrypted:
        read.mistakes.append("LINK_ALLOW needs certificates to know hosts by; set LINK_CERTS")
    if certificates:
        for name in ("ca.pem", "link.pem", "link.key"):
            if not (certificates / name).is_file():
                read.mistakes.append(
                    f"LINK_CERTS={folder!r} has no {name}; 'evercan link certs' makes such a folder"
                )
    if read.mistakes:
        raise SettingsError(read.mistakes)
    return settings


class _Reader:
    """Reads variables one by one and keeps what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {key: value.strip() for key, value in environment.items()}
        self.mistakes: list[str] = []

    def text(self, name: str) -> str:
        return self._given.get(name, "")

    def value(self, name: str, parse: Callable[[str], _T], fallback: str) -> _T:
        """Return what ``parse`` makes of a variable; keep the mistake if it raises ValueError."""
        text = self.text(name) or fallback
        try:
            return parse(text)
        except ValueError as error:
            self.mistakes.append(f"{name}={text!r} {error}" if text else f"{name} is not set")
            return parse(_VALID[name])


_VALID = {
    "LINK_BUS": "bus", "LINK_HOST": "host", "LINK_LISTEN": "", "LINK_CONNECT": "",
    "LINK_DEADLINE": "100", "LINK_PLAYOUT": "0", "LINK_RATE": "0", "LINK_HTTP": "0.0.0.0:9481",
    "LINK_ALLOW": "", "LINK_LOG_LEVEL": "info",
}  # fmt: skip


def _parts(value: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", value) if part]


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError("is no name; use up to 63 letters, digits, '-', '_' and '.'")
    return value


def _names(value: str) -> tuple[str, ...]:
    return tuple(_name(part) for part in _parts(value))


def _milliseconds(value: str) -> int:
    digits = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:ms)?", value)
    number = float(digits[1]) if digits else 0.0
    if not 1 <= number <= 60_000:
        raise ValueError("is no number of milliseconds from 1 to 60000")
    return int(number * 1_000_000)


def _milliseconds_or_none(value: str) -> int:
    return 0 if value == "0" else _milliseconds(value)


def _rate(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}", value):
        raise ValueError("is no number of frames per second; write one from 1 to 9999999, or 0")
    return float(value)


def _address(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("is no address; write ADDRESS:PORT, as in 0.0.0.0:9481")
    return host.strip("[]"), int(port)


def _log_level(value: str) -> str:
    if value.lower() not in LOG_LEVELS:
        raise ValueError(f"is unknown; choose one of {', '.join(LOG_LEVELS)}")
    return value.lower()
