"""The daemon in the test's own process, on a real unix socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from evercan.__main__ import bind
from evercan.daemon import serve
from evercan.model.declared import Declared
from evercan.reconcile.state_format import decode
from evercan.settings import Recovery, Settings
from tests.support.link_events import FakeLinkEvents
from tests.support.shared_kernel import SharedKernel


class Plugin:
    """An installed plugin that can be stopped and started: its socket and its state folder."""

    def __init__(self, folder: Path, kernel: SharedKernel) -> None:
        self.socket = folder / "evercan.sock"
        self.state_folder = folder / "state"
        self.kernel = kernel
        self.link_events = FakeLinkEvents()
        self.health_interval = 0.0
        self.probe_interval = 0.0
        self.recovery = Recovery.AUTO
        self.metrics: tuple[str, int] | None = None
        self.engine_ifname = False
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        settings = Settings(
            state_folder=self.state_folder,
            health_interval=self.health_interval,
            probe_interval=self.probe_interval,
            recovery=self.recovery,
            metrics=self.metrics,
            engine_ifname=self.engine_ifname,
        )
        self._running = asyncio.create_task(
            serve(
                socket.socket(fileno=bind(str(self.socket))),
                settings,
                self.kernel,
                self.link_events,
            )
        )
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Send SIGTERM and wait until the daemon has ended."""
        if self._running is None:
            return
        if not self._running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(self._running, timeout=15)
        self._running = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def reboot(self, boot: str) -> None:
        """Simulate a power cut and a boot, and start the plugin."""
        await self.stop()
        self.kernel.reboot(boot)
        await self.start()

    async def uninstall(self) -> None:
        await self.stop()
        self.link_events.close()

    @property
    def declared(self) -> Declared:
        """The declared state as it is on disk."""
        return decode(self.state_bytes)

    @property
    def state_bytes(self) -> bytes:
        """The content of the state file; empty if there is none."""
        path = self.state_folder / "state.json"
        return path.read_bytes() if path.exists() else b""
