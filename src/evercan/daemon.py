"""Composes the daemon: settings, log, state file, kernel, reconciler, driver and server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from functools import partial

import uvloop

from evercan import __version__
from evercan.errors import EvercanError, SettingsError
from evercan.kernel.events import BusEvents, BusOffEvents, LinkEvents
from evercan.kernel.port import Kernel
from evercan.kernel.rtnetlink import RtnetlinkKernel
from evercan.libnetwork.driver import Driver
from evercan.libnetwork.server import Server
from evercan.log import writer
from evercan.planning.fail_fast import leave_drift
from evercan.reconcile.full_pass import repair_drift
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.rule_probe import RuleProbe
from evercan.reconcile.state_file import StateFile
from evercan.reconcile.watcher import LinkEventSource, Watcher
from evercan.reporting import status
from evercan.reporting.durations import Durations
from evercan.settings import Recovery, Settings, read_settings
from evercan.supervisor import Supervisor

HEALTH_BOUND = 5.0
"""Seconds within which ``GET /health`` is answered, whatever the kernel does."""

PUBLISH_INTERVAL = 10.0
"""Seconds until an address for the metrics that could not be bound is tried again."""

STOP_WAIT = 1.0
"""Seconds that a start may still take when the process is told to stop during it."""

SWITCH_INTERVAL = 0.0005
"""Seconds that a pass's thread may keep the interpreter while the event loop waits for it."""

_log = logging.getLogger(__name__)


def yield_often() -> None:
    """Let the event loop run soon: by default it waits 5 ms for a pass's thread, each time."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def main(bound: int) -> int:
    """Serve on a listening unix socket until SIGTERM; return the exit status.

    Args:
        bound: the socket's descriptor.
    """
    try:
        settings = read_settings(os.environ)
    except EvercanError as error:
        writer.configure("info", "text")
        _log.error("Cannot start: %s", error)
        logging.shutdown()
        return 2
    writer.configure(settings.log_level, settings.log_format)
    yield_often()
    try:
        events = BusEvents(LinkEvents(), BusOffEvents())
        uvloop.run(serve(socket.socket(fileno=bound), settings, RtnetlinkKernel(), events))
    except EvercanError as error:
        _log.error("Cannot start: %s", error)
        return 1
    finally:
        logging.shutdown()
    return 0


async def serve(
    bound: socket.socket, settings: Settings, kernel: Kernel, events: LinkEventSource
) -> None:
    """Restore what is declared and answer until the process is told to stop.

    Raises:
        StateError: the state file cannot be used.
    """
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    fail_fast = settings.recovery is Recovery.FAIL_FAST
    reconciler = Reconciler(
        kernel,
        StateFile(settings.state_folder),
        restrain=leave_drift if fail_fast else repair_drift,
    )
    queue = PassQueue(reconciler, Inspector(kernel, reconciler))
    driver = Driver(queue, may_wait=not fail_fast, ifname_applied=settings.engine_ifname)
    durations = Durations()

    daemon = status.Daemon(version=__version__, started=time.time(), settings=settings)

    async def scrape() -> bytes:
        # prometheus_client takes a tenth of the start, so it is loaded at the first scrape.
        from evercan.reporting import metrics  # noqa: PLC0415

        return metrics.render(daemon, await queue.snapshot(), durations)

    supervisor = Supervisor()

    async def health() -> status.Page:
        return await _health(queue, supervisor)

    async def whole() -> status.Page:
        return status.status(daemon, await queue.snapshot(), supervisor.problems)

    server = Server(driver, {"health": health, "status": whole}, scrape, durations.called)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # add_signal_handler would do the same, and load the module inspect for it.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    # Serve first: calls wait for the state, but each of them is answered within its bound.
    await server.start(bound)
    if await _started(queue, stopped):
        watcher = Watcher(queue, events, settings.health_interval)
        supervisor.run("watcher", watcher.run)
        if settings.probe_interval:
            probe = RuleProbe(queue, kernel.receive_list_entries, settings.probe_interval)
            supervisor.run("rule probe", probe.run)
        if settings.metrics is not None:
            supervisor.run("metrics", partial(publish, server, *settings.metrics))
        _log.info("evercan serves %d networks", len(queue.state.declared.networks))
        await stopped.wait()
        await supervisor.close()
    # Stopping is not undoing: every interface and rule stays as it is.
    _log.info("evercan stops; all interfaces stay as they are")
    await server.close()
    await queue.close()


async def _started(queue: PassQueue, stopped: asyncio.Event) -> bool:
    """Wait until the state is loaded and restored; False if the process is to stop before.

    Raises:
        StateError: the state file cannot be used.
    """
    starting = asyncio.create_task(queue.start())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        await asyncio.wait([starting], timeout=STOP_WAIT)
    if not starting.done():
        starting.cancel()  # a pass that is running ends when the queue is closed
        return False
    await starting
    return True


async def _health(queue: PassQueue, supervisor: Supervisor) -> status.Page:
    try:
        async with asyncio.timeout(HEALTH_BOUND):
            return status.health(await queue.inspect(), supervisor.problems)
    except EvercanError as error:
        return status.not_observed(error)
    except TimeoutError:
        return status.not_observed(
            EvercanError(
                f"the kernel was not observed within {HEALTH_BOUND:.0f} s: the host is very busy "
                "or its kernel hangs",
                "see the host's kernel log",
            )
        )


async def publish(server: Server, host: str, port: int) -> None:
    """Serve the metrics on TCP as soon as the address can be bound; no bus depends on that."""
    reported = ""
    while True:
        try:
            await server.publish_metrics(host, port)
        except SettingsError as error:
            if str(error) != reported:
                reported = str(error)
                _log.error("%s; tried again every %.0f s", reported, PUBLISH_INTERVAL)
            await asyncio.sleep(PUBLISH_INTERVAL)
        else:
            _log.info("Metrics are served at http://%s:%d/metrics", host, port)
            await asyncio.get_running_loop().create_future()  # until it is cancelled
