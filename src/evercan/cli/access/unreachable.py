"""Explain why an engine cannot be reached; no I/O."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import requests
from docker.errors import APIError, TLSParameterError

from evercan.cli.errors import NoEngine

_SCHEMES = ("unix://", "http+unix://", "tcp://", "http://", "https://", "ssh://")
LOCAL = ("unix:", "http+unix:")
"""How the address of an engine begins that is reached through a socket on this machine."""

_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    (
        (PermissionError,),
        "no permission on {where}",
        "run this as root (sudo), or as a member of the group docker",
    ),
    (
        (TLSParameterError,),
        "cannot read the TLS certificates for {where}",
        "put ca.pem, cert.pem and key.pem into DOCKER_CERT_PATH, or use another docker context",
    ),
    (
        (ssl.SSLError,),
        "TLS with the engine at {where} failed ({last})",
        "set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a docker context with certificates",
    ),
    (
        (socket.gaierror,),
        "cannot resolve the host name in {where}",
        "correct the address (DOCKER_HOST or -H)",
    ),
    (
        (FileNotFoundError, ConnectionRefusedError),
        "no Docker engine answers at {where}",
        "{start}",
    ),
    (
        (TimeoutError, requests.Timeout),
        "the engine at {where} does not answer in time",
        "try again",
    ),
    (
        (ConnectionResetError,),
        "{where} closes the connection without an answer",
        "check that dockerd runs there and that you may use it",
    ),
    (
        (ValueError, APIError, http.client.HTTPException),
        "{where} does not answer like a Docker engine ({last})",
        "correct DOCKER_HOST, or set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH if it uses TLS",
    ),
)

_START_LOCAL = "start it (systemctl start docker), or set DOCKER_HOST to another engine"
_START_REMOTE = "check the address (DOCKER_HOST or -H), and that dockerd listens there"


def no_engine(error: BaseException, where: str, printed: str = "") -> NoEngine:
    """Explain why an engine cannot be reached.

    Args:
        error: what the SDK raised; the cause is often wrapped in it several times.
        where: the engine's address.
        printed: what ssh has printed, for an address with ``ssh://``.
    """
    if not where.startswith(_SCHEMES):
        return NoEngine(
            f"{where} is not an engine's address",
            "set DOCKER_HOST, or the docker context, to unix:///PATH, tcp://HOST:PORT or "
            "ssh://USER@HOST",
            where,
        )
    causes = list(_causes(error))
    if where.startswith("ssh://"):
        reason = _printable(printed.strip().rpartition("\n")[2]) or _last_words(causes)
        return NoEngine(
            f"cannot reach the engine at {where} through ssh ({reason})",
            f"make this command work: ssh {without_path(where)} docker version; or correct "
            "DOCKER_HOST",
            where,
        )
    start = _START_LOCAL if where.startswith(LOCAL) else _START_REMOTE
    for kinds, text, remedy in _BY_KIND:
        if any(isinstance(cause, kinds) for cause in causes):
            words = {"where": where, "last": _last_words(causes), "start": start}
            return NoEngine(text.format(**words), remedy.format(**words), where)
    return NoEngine(
        f"cannot reach the engine at {where} ({_last_words(causes)})",
        "check that it runs there, and correct the address (DOCKER_HOST or -H) if not",
        where,
    )


def without_path(where: str) -> str:
    """Return an address as ``ssh`` takes it: with user and port, without a path."""
    return "/".join(where.split("/")[:3])


def _last_words(causes: list[BaseException]) -> str:
    """Return the engine's own explanation, or the innermost error's text."""
    explanations = [cause.explanation for cause in causes if isinstance(cause, APIError)]
    return _printable(str((explanations and explanations[0]) or causes[-1]))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what is wrapped in it: by ``raise from``, as argument or reason."""
    seen: list[BaseException] = []
    left: list[Any] = [error]
    while left:
        cause = left.pop(0)
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        seen.append(cause)
        yield cause
        left += [cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None)]
