"""Connects to a Docker engine."""

import os
from pathlib import Path
from typing import Final

import docker
import requests
from docker.errors import DockerException

from tools.common.errors import EngineError

LOCAL_SOCKET: Final = Path("/var/run/docker.sock")
LOCAL_ENGINE: Final = f"unix://{LOCAL_SOCKET}"
"""DOCKER_HOST value of this machine's own engine."""

CALL_SECONDS: Final = 900
"""Seconds one API call may be silent: a build step is, while apt works."""

ENGINE_ERRORS: Final = (DockerException, requests.RequestException, OSError)
"""What a client raises if the engine does not answer or rejects a call."""


def new_client(docker_host: str | None = None, timeout: float = 300) -> docker.DockerClient:
    """Return a client of an engine; asks the engine for its API version.

    Args:
        docker_host: A DOCKER_HOST value. None means that of the environment, and without
            one this machine's own engine.
        timeout: Seconds that one call may be silent.
    """
    if docker_host in (None, os.environ.get("DOCKER_HOST")):
        return docker.from_env(version="auto", timeout=int(timeout))  # with its TLS settings
    return docker.DockerClient(docker_host, version="auto", timeout=int(timeout))


def connect(docker_host: str | None = None, timeout: float = CALL_SECONDS) -> docker.DockerClient:
    """Return a client of an engine that answers.

    Args:
        docker_host: As for `new_client`.
        timeout: Seconds that one call may be silent.

    Raises:
        EngineError: No engine answers there.
    """
    where = docker_host or os.environ.get("DOCKER_HOST") or LOCAL_ENGINE
    try:
        client = new_client(docker_host, timeout)
        client.ping()
    except ENGINE_ERRORS as error:
        raise EngineError(
            f"no Docker engine answers at {where}: {error}",
            "start it, or name another one with --host or in DOCKER_HOST",
        ) from error
    return client
