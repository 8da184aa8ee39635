"""Why an engine cannot be asked, in a sentence that helps; pure."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import requests
from docker.errors import APIError, TLSParameterError

_SCHEMES = ("unix://", "http+unix://", "tcp://", "http://", "https://")

_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (PermissionError,),
        "no permission on {where}; run this as root (sudo), or as a member of the group docker",
    ),
    (
        (TLSParameterError,),
        (
            "the certificates for {where} are not to be had; see that ca.pem, cert.pem and key.pem "
            "are in the folder DOCKER_CERT_PATH, or use a docker context that has them"
        ),
    ),
    (
        (ssl.SSLError,),
        (
            "the engine at {where} does not agree on TLS ({last}); set DOCKER_TLS_VERIFY and "
            "DOCKER_CERT_PATH, or use a docker context that has the certificates"
        ),
    ),
    (
        (socket.gaierror,),
        "the host of {where} has no address that is known here; correct DOCKER_HOST",
    ),
    (
        (FileNotFoundError, ConnectionRefusedError),
        (
            "no Docker engine answers at {where}; start it (systemctl start docker), or name "
            "another in DOCKER_HOST"
        ),
    ),
    (
        (TimeoutError, requests.Timeout),
        "the engine at {where} does not answer in time; try again",
    ),
    (
        (ConnectionResetError,),
        (
            "who listens at {where} closes without an answer; see that dockerd runs there, that "
            "the way to it still leads there, and that you may use it"
        ),
    ),
    (
        (ValueError, APIError, http.client.HTTPException),
        (
            "what answers at {where} is no Docker engine ({last}); correct DOCKER_HOST, or set "
            "DOCKER_TLS_VERIFY and DOCKER_CERT_PATH if it wants TLS"
        ),
    ),
)


def unreachable(error: BaseException, where: str) -> str:
    """Say why an engine cannot be asked, and what to do.

    Args:
        error: what the SDK raised; the cause is often wrapped in it several times.
        where: the engine's address.
    """
    if where.startswith("ssh://"):
        return (
            f"this command does not speak ssh itself, as {where} wants it; forward the engine's "
            "socket: ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock "
            f"{_without_path(where)} & and then DOCKER_HOST=unix:///tmp/engine.sock"
        )
    if not where.startswith(_SCHEMES):
        return (
            f"{where} is no engine's address: it is neither unix:///PATH nor tcp://HOST:PORT; "
            "correct DOCKER_HOST, or the docker context"
        )
    causes = list(_causes(error))
    for kinds, text in _BY_KIND:
        if any(isinstance(each, kinds) for each in causes):
            return text.format(where=where, last=_words(causes))
    return (
        f"the engine at {where} cannot be asked ({_words(causes)}); see that it runs there, and "
        "correct DOCKER_HOST if it does not"
    )


def _without_path(where: str) -> str:
    """Return an address as ``ssh`` takes it: it may name user and port, and no path."""
    return "/".join(where.split("/")[:3])


def _words(causes: list[BaseException]) -> str:
    """Say what was heard, whatever bytes they are."""
    refusals = [each.explanation for each in causes if isinstance(each, APIError)]
    text = str((refusals and refusals[0]) or causes[-1])
    return "".join(each if each.isprintable() else "?" for each in text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what is wrapped in it: by ``raise from``, as argument or reason."""
    seen: list[BaseException] = []
    left: list[Any] = [error]
    while left:
        each = left.pop(0)
        if not isinstance(each, BaseException) or each in seen:
            continue
        seen.append(each)
        yield each
        left += [each.__cause__, each.__context__, *each.args, getattr(each, "reason", None)]
