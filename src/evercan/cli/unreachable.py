"""Why an engine cannot be asked, in a sentence that helps; pure."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import requests

_SCHEMES = ("unix://", "http+unix://", "tcp://", "http://", "https://", "ssh://")

_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (PermissionError,),
        "no permission on {where}; run this as root (sudo), or as a member of the group docker",
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
        (ValueError,),
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
    if not where.startswith(_SCHEMES):
        return (
            f"{where} is no engine's address: it is none of unix:///PATH, tcp://HOST:PORT and "
            "ssh://HOST; correct DOCKER_HOST, or the docker context"
        )
    causes = list(_causes(error))
    if where.startswith("ssh://") and not isinstance(causes[-1], PermissionError):
        return (
            f"no Docker engine is reached by {where} ({causes[-1]}); see that "
            f"'ssh {where.removeprefix('ssh://')} docker version' works"
        )
    for kinds, text in _BY_KIND:
        if any(isinstance(each, kinds) for each in causes):
            return text.format(where=where, last=causes[-1])
    return f"the engine at {where} cannot be asked ({causes[-1]}); try again"


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
