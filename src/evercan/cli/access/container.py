"""A container that ends with this process.

Its main process reads standard input, which this process holds open: when this process ends, in
whatever way, the engine closes that input, and the container ends and is removed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from evercan.cli.access.engine import SDK_ERRORS, DockerEngine
from evercan.cli.access.program import ContainerProgram, Program
from evercan.cli.errors import CliError

IMAGE = "evercan/can-tools:latest"
LABEL = "evercan.helper"
PLAYER = "evercan-play"
"""The image's program that sends frames."""

_STOP_TIMEOUT = 6
"""Seconds that the container may take to end by itself."""

_CONFLICT = 409
"""The engine's status for a name that another container has."""

_NOT_FOUND = (126, 127)
"""Exit statuses of a program that the container does not have."""


class OurContainer:
    """A container that ends with this process."""

    def __init__(
        self,
        engine: DockerEngine,
        image: str,
        name: str,
        purpose: str,
        instead: str = "",
        **config: Any,
    ) -> None:
        """Start it.

        Args:
            engine: the engine.
            image: an image on the engine.
            name: the container's name.
            purpose: what it does, for messages: ``reaches its host``.
            instead: what does without it, for messages: ``, or run this as root``.
            config: its host configuration.

        Raises:
            CliError: the engine lacks the image, or does not start the container.
        """
        self.engine, self.image, self.name = engine, image, name
        self._purpose, self._instead = purpose, instead
        self._stdin: Any = None
        self._id = self._start(config)

    def _start(self, config: dict[str, Any]) -> str:
        api = self.engine.api
        made = ""
        try:
            made = api.create_container(
                self.image,
                ["cat"],
                entrypoint=[],
                stdin_open=True,  # the container ends when this input closes
                name=self.name,
                labels={LABEL: "1"},
                host_config=api.create_host_config(auto_remove=True, **config),
            )["Id"]
            self._stdin = api.attach_socket(made, params={"stdin": 1, "stream": 1})
            api.start(made)
        except BaseException as error:
            if made:
                self._remove(made)
            if isinstance(error, ImageNotFound):
                raise CliError(
                    f"the engine at {self.engine.where} has no image {self.image} for the "
                    f"container that {self._purpose}",
                    "load it (in a checkout of evercan: .venv/bin/python -m tools.images --host "
                    f"{self.engine.where}), or name another with --helper-image{self._instead}",
                ) from error
            if isinstance(error, APIError) and error.status_code == _CONFLICT:
                raise CliError(
                    f"the engine at {self.engine.where} has a container {self.name} already",
                    f"end the command that uses it, or remove it: docker rm -f {self.name}",
                ) from error
            if isinstance(error, APIError):
                raise CliError(
                    f"the engine at {self.engine.where} does not start the container that "
                    f"{self._purpose}: {error.explanation}",
                    f"see its log (journalctl -u docker){self._instead}",
                ) from error
            if isinstance(error, SDK_ERRORS):
                raise self.engine.no_engine(error) from error
            raise
        return str(made)

    def call(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Call the engine with the container's id.

        Raises:
            CliError: the container has ended, or the engine does not answer.
        """
        return self._call(call, self._id, *arguments, **named)

    def _call(self, call: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except APIError as error:
            raise CliError(
                f"the container that {self._purpose} is gone ({error.explanation})", "try again"
            ) from error
        except (DockerException, *SDK_ERRORS) as error:
            raise self.engine.no_engine(error) from error

    def run(self, words: Sequence[str], **environment: str) -> tuple[int, bytes, bytes]:
        """Run a program in it; return its exit status, its output and its errors."""
        api = self.engine.api
        made = self.call(api.exec_create, list(words), environment=environment)["Id"]
        out, err = self._call(api.exec_start, made, demux=True)
        status = self._call(api.exec_inspect, made)["ExitCode"]
        return int(status or 0), out or b"", err or b""

    def player(self, *words: str) -> Program:
        """Run a command that ends with the image's program for sending frames."""
        api = self.engine.api
        made = self.call(api.exec_create, list(words), stdin=True)["Id"]
        try:
            stream = self._call(api.exec_start, made, socket=True)
        except CliError as error:
            raise self._without_player() from error

        def status() -> int:
            found = int(self._call(api.exec_inspect, made)["ExitCode"] or 0)
            if found in _NOT_FOUND:
                raise self._without_player()
            return found

        return ContainerProgram(stream, status)

    def _without_player(self) -> CliError:
        return CliError(
            f"image {self.image} has no program {PLAYER}, which sends the frames",
            "load the image again (in a checkout of evercan: .venv/bin/python -m tools.images "
            f"--host {self.engine.where}){self._instead}",
        )

    def close(self) -> None:
        """End it and wait until it is removed."""
        self.end()
        try:
            self.engine.api.wait(self._id, timeout=_STOP_TIMEOUT, condition="removed")
        except NotFound:
            return
        except SDK_ERRORS:
            self._remove(self._id)

    def end(self) -> None:
        """Let it end, without waiting for it."""
        # The SDK returns a file for the socket, and keeps the socket itself open.
        stdin = getattr(self._stdin, "_sock", self._stdin)
        with suppress(AttributeError, *SDK_ERRORS):
            stdin.shutdown(socket.SHUT_RDWR)

    def _remove(self, container: str) -> None:
        # It may be ending by itself, or with its engine.
        with suppress(NotFound, APIError, *SDK_ERRORS):
            self.engine.api.remove_container(container, force=True)
