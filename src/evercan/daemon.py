"""The composition root: settings, log, store, kernel, reconciler, driver, server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time

import uvloop

from evercan import __version__, log, status
from evercan.driver import Driver
from evercan.durations import Durations
from evercan.errors import EvercanError, SettingsError
from evercan.kernel.events import LinkEvents
from evercan.kernel.port import Kernel
from evercan.kernel.rtnetlink import RtnetlinkKernel
from evercan.protocol.server import Server
from evercan.reconciler import Reconciler, mend_everything
from evercan.restraint import restrained_plan
from evercan.settings import Recovery, Settings, read_settings
from evercan.store import Store
from evercan.turns import Turns
from evercan.watch import LinkEventSource, Watch

HEALTH_BOUND = 5.0
"""Seconds within which ``GET /health`` is answered, whatever the kernel does."""

PUBLISH_INTERVAL = 10.0
"""Seconds until an address for the metrics that was not to be had is tried again."""

SWITCH_INTERVAL = 0.0005
"""Seconds that a turn's thread may keep the interpreter while the event loop wants it."""

_log = logging.getLogger(__name__)


def yield_often() -> None:
    """Let the event loop in at once: by default it waits 5 ms for a turn's thread, each time."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def main(bound: int) -> int:
    """Serve on a listening unix socket, given its descriptor, until SIGTERM; return the status."""
    try:
        settings = read_settings(os.environ)
    except EvercanError as error:
        log.set_up("info", "text")
        _log.error("Cannot start: %s", error)
        logging.shutdown()
        return 2
    log.set_up(settings.log_level, settings.log_format)
    yield_often()
    try:
        uvloop.run(serve(socket.socket(fileno=bound), settings, RtnetlinkKernel(), LinkEvents()))
    except EvercanError as error:
        _log.error("Cannot start: %s", error)
        return 1
    finally:
        logging.shutdown()
    return 0


async def serve(
    bound: socket.socket, settings: Settings, kernel: Kernel, events: LinkEventSource
) -> None:
    """Bring back what is on record, then answer until told to stop.

    Raises:
        StateError: the record cannot be used.
        KernelError: the kernel cannot be looked at.
    """
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    store = Store(settings.state_folder)
    fail_fast = settings.recovery is Recovery.FAIL_FAST
    turns = Turns(Reconciler(kernel, store, restrained_plan if fail_fast else mend_everything))
    driver = Driver(turns, patient=not fail_fast)
    durations = Durations()

    daemon = status.Daemon(version=__version__, started=time.time(), settings=settings)

    async def scrape() -> bytes:
        from evercan import metrics  # noqa: PLC0415 - prometheus_client is a tenth of the start

        return metrics.render(daemon, await turns.snapshot(), durations)

    async def health() -> status.Page:
        try:
            async with asyncio.timeout(HEALTH_BOUND):
                return status.health(await turns.inspect())
        except EvercanError as error:
            return status.blind(str(error))
        except TimeoutError:
            return status.blind(
                f"no look at the kernel within {HEALTH_BOUND:.0f} s: the host is very busy or its "
                "kernel hangs; see the host's kernel log"
            )

    async def whole() -> status.Page:
        return status.status(daemon, await turns.snapshot())

    server = Server(driver, {"health": health, "status": whole}, scrape, durations.called)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await turns.start()
    await server.start(bound)
    tasks = [asyncio.create_task(Watch(turns, events, settings.health_interval).run())]
    if settings.metrics is not None:
        tasks.append(asyncio.create_task(publish(server, *settings.metrics)))
    _log.info("evercan serves; %d networks on record", len(turns.state.declared.networks))
    await stopped.wait()
    for each in tasks:
        each.cancel()
    # Leaving is not undoing: every interface and rule stays as it is.
    _log.info("evercan stops; all interfaces stay as they are")
    await server.close()
    await turns.close()


async def publish(server: Server, host: str, port: int) -> None:
    """Serve the metrics on TCP as soon as the address is to be had; no bus depends on that."""
    told = ""
    while True:
        try:
            await server.publish_metrics(host, port)
        except SettingsError as error:
            if str(error) != told:
                told = str(error)
                _log.error("%s; tried again every %.0f s", told, PUBLISH_INTERVAL)
            await asyncio.sleep(PUBLISH_INTERVAL)
        else:
            _log.info("Metrics are served at http://%s:%d/metrics", host, port)
            return
