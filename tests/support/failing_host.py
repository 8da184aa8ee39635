"""A host whose kernel and disk fail for a while, and whose engine goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from evercan.errors import EvercanError, InternalFault
from evercan.intent.findings import EndpointClaim, NetworkClaim
from evercan.kernel.port import Kernel
from evercan.libnetwork.driver import Driver
from evercan.planning.plan import make_plan
from evercan.reconcile.outcome import Outcome
from tests.support.changes import queue_of
from tests.support.crashing_host import CrashingHost
from tests.support.error_points import ErrorPoint, FailingKernel, PluginsKernel
from tests.support.kill_points import KillPoint

_T = TypeVar("_T")

RETRIES = 4
"""Passes without a call after which everything must be as declared."""


class FailingHost(CrashingHost):
    """One host, whose plugin keeps running while requests and file operations fail.

    Attributes:
        rejected: the calls that the plugin answered with an error, since ``forget_errors``.
    """

    def __init__(self, folder: Path, point: ErrorPoint) -> None:
        self.point = point
        self.rejected: list[EvercanError] = []
        kernel = FailingKernel(point)
        self._port = PluginsKernel(kernel, point)
        super().__init__(folder, KillPoint(), kernel)

    @property
    def port(self) -> Kernel:
        return self._port

    def call(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        """Run a call of the plugin; return None if it was answered with an error."""
        try:
            result = super().call(work)
        except InternalFault as error:
            raise AssertionError(f"an error was not handled: {error}") from error
        except EvercanError as error:
            self.rejected.append(error)
            return None
        if result is not None and isinstance(outcome := result[0], Outcome):
            assert not isinstance(outcome.error, InternalFault), f"not handled: {outcome.error}"
        return result

    def start_plugin(self) -> bool:
        """Start a process, which may still be loading when this returns."""
        self._runner = asyncio.Runner()
        self.queue = queue_of(self.port, self.folder)
        self.driver = Driver(self.queue)
        self._starting = self._runner.get_loop().create_task(self.queue.start())
        self._runner.run(self._wait_for_start(0.02 if self.point.armed else 5.0))
        return self._starting.done()

    async def _wait_for_start(self, seconds: float) -> None:
        await asyncio.wait([self._starting], timeout=seconds)
        if self._starting.done():
            self._starting.result()

    async def _answer(self, work: Coroutine[Any, Any, _T]) -> tuple[_T] | None:
        loaded = self._starting.done()
        try:
            async with asyncio.timeout(5 if loaded else 0.02):
                return (await work,)
        except TimeoutError:
            assert not loaded, "a call was not answered"
            self.rejected.append(EvercanError("took too long"))
            return None

    def move_inside(self, endpoint: str) -> None:
        """Move the interface that Join has named, or clean up after a Join that failed."""
        if self.attachments[endpoint].source:
            super().move_inside(endpoint)
        else:
            self.leave(endpoint)
            self.delete_endpoint(endpoint)

    def read_pages(self) -> None:
        """Read what operators read; an error is an answer too."""
        self.call(self.queue.inspect())
        self.call(self.queue.snapshot())
        self.call(self.queue.report_lost_frames())

    def adopt(self) -> None:
        """Give the plugin all networks and running containers, as ``evercan adopt`` does."""
        claims = [
            NetworkClaim(
                network,
                {"vxcan.dev": bus[:4], "vxcan.id": bus[4:], "vxcan.peer": "can"},
                [
                    EndpointClaim(attachment.endpoint, attachment.options)
                    for attachment in self.attachments.values()
                    if attachment.network == network
                ],
            )
            for network, bus in self.networks.items()
        ]
        self.call(self.driver.adopt(claims, prune=()))

    def heal(self) -> int:
        """Run the passes that the plugin asks for without a call; return how many there were."""
        self._runner.run(self._wait_for_start(5.0))
        assert self._starting.done(), "the plugin did not start"
        passes = 0
        while self.queue.retry_at is not None:
            passes += 1
            assert passes <= RETRIES, f"retries without end: {self.queue.state.problems}"
            self.call(self.queue.check())
        plan = make_plan(self.queue.state.declared, self.kernel.observe())
        assert plan.steps == (), f"not healed without a call: {plan.steps}"
        assert not set(self.queue.state.declared.networks) - set(self.networks), "not rolled back"
        return passes
