"""The metrics on TCP: served as soon as the address can be bound; no call waits for them."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from evercan import daemon
from evercan.libnetwork import server, web
from evercan.model.observed import Observed
from evercan.model.rule import RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.reconcile import retries
from evercan.values import replace
from tests.daemon.test_process import connect, running
from tests.support.engine import Engine, engine_id
from tests.support.links import free_port
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")


async def scraped(port: int) -> bytes:
    """Return the answer to a request for the metrics on TCP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await reader.read()
    finally:  # also when a test cancels it
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_an_address_in_use_is_logged_one_time_and_bound_when_it_is_free(
    plugin: Plugin,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await engine.enable()
    monkeypatch.setattr(daemon, "PUBLISH_INTERVAL", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        plugin.metrics = ("127.0.0.1", port)
        await plugin.restart()
        await engine.create_network(NETWORK)
        await asyncio.sleep(0.2)
        (logged,) = (line for line in caplog.records if "cannot be bound" in line.getMessage())
        assert f"EVERCAN_METRICS=127.0.0.1:{port}" in logged.getMessage()
    served = f"Metrics are served at http://127.0.0.1:{port}/metrics"
    await wait_until(lambda: served in caplog.text)
    answer = await scraped(port)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"evercan_networks" in answer


async def test_an_address_of_another_host_does_not_affect_networks(
    plugin: Plugin, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.enable()
    plugin.metrics = ("192.0.2.7", 9480)  # TEST-NET-1, RFC 5737
    await plugin.restart()
    await engine.create_network(NETWORK)
    assert "EVERCAN_METRICS=192.0.2.7:9480 cannot be bound" in caplog.text
    await plugin.stop()


@contextmanager
def many_descriptors(number: int) -> Iterator[None]:
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(number, former[0]), former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, former)


async def test_1100_silent_connections_take_no_descriptors_of_the_engine(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, EVERCAN_METRICS=f"127.0.0.1:{port}") as process:
        resource.prlimit(process.popen.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        engine = await connect(process)

        def descriptors() -> int:
            return sum(1 for _ in Path(f"/proc/{process.popen.pid}/fd").iterdir())

        await wait_until(lambda: is_listening(port))
        before = descriptors()
        with many_descriptors(2048), ExitStack() as open_ones:
            for _ in range(1100):
                silent = open_ones.enter_context(socket.socket())
                silent.settimeout(5)
                await asyncio.to_thread(silent.connect, ("127.0.0.1", port))
            assert (await engine.send("GetCapabilities", b"")).ok
            await wait_until(lambda: descriptors() <= before + web.PUBLIC_CONNECTIONS)
        assert (await engine.post("DeleteNetwork", NetworkID=NETWORK)).ok
        await wait_until(lambda: descriptors() <= before)
        assert (await scraped(port)).startswith(b"HTTP/1.1 200 OK")


@asynccontextmanager
async def published(plugin: Plugin) -> AsyncIterator[int]:
    """Serve the metrics on TCP; yield the port."""
    plugin.metrics = ("127.0.0.1", free_port())
    await plugin.restart()
    port = plugin.metrics[1]
    await wait_until(lambda: is_listening(port))
    yield port


def is_listening(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


SLOW_SENDERS = {
    "sends nothing": b"",
    "sends a part of a request": b"GET /metrics HTTP/1.1\r\nX: ",
    "announces a body and sends a part of it": b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 1000\r\n\r\nx",
}


@pytest.mark.parametrize("start", SLOW_SENDERS.values(), ids=SLOW_SENDERS)
async def test_a_public_connection_ends_although_its_client_keeps_sending(
    start: bytes, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PUBLIC_TIME", 0.5)
    async with published(plugin) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        with suppress(ConnectionError):
            while not reader.at_eof():
                if start:
                    writer.write(b"x")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1 << 16), timeout=0.05)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        assert (await scraped(port)).startswith(b"HTTP/1.1 200 OK")


async def test_a_public_connection_ends_if_its_client_does_not_read(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PUBLIC_TIME", 0.5)
    monkeypatch.setattr(web, "PUBLIC_CONNECTIONS", 1)
    async with published(plugin) as port, asyncio.timeout(10):
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(1.0)
        assert (await scraped(port)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        del reader


async def test_a_long_request_on_tcp_is_cut_off(plugin: Plugin) -> None:
    async with published(plugin) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000)
        with suppress(ConnectionError):
            await writer.drain()
            assert (await reader.read()).count(b"HTTP/1.1 200 OK") <= 1
        writer.close()
        assert (await scraped(port)).startswith(b"HTTP/1.1 200 OK")


class CountingKernel(SharedKernel):
    """A kernel whose rules always count frames; counts the observations of the counters."""

    def observe_with_counts(self) -> Observed:
        with self._lock:
            self.calls["observe_with_counts"] += 1
            observed = super().observe_with_counts()
        counts = ((rule, RuleCount(self.calls["observe"], 0, 0)) for rule in observed.rules)
        return replace(observed, counts=RuleCounts(counts))

    def observations_of_calls(self) -> int:
        """Return how many observations were not for a scrape."""
        with self._lock:
            return self.calls["observe"] - self.calls["observe_with_counts"]


async def scrape_without_end(port: int, answers: list[bytes]) -> None:
    while True:
        with suppress(ConnectionError):
            answers.append((await scraped(port))[:15])
        await asyncio.sleep(0.01)


async def test_64_scrapers_delay_each_call_by_one_observation_at_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "VERIFY_AFTER", 60)
    monkeypatch.setattr(retries, "VERIFY_WITHIN", 60)
    kernel = CountingKernel()
    plugin = Plugin(tmp_path, kernel)
    await plugin.start()
    engine = Engine(plugin.socket, kernel)
    await engine.create_network(NETWORK)
    await engine.start_many(NETWORK, [engine_id(f"member {number}") for number in range(100)])

    async def observations_of_a_start(name: str) -> int:
        before = kernel.observations_of_calls()
        await engine.start(NETWORK, engine_id(name))
        return kernel.observations_of_calls() - before

    async with published(plugin) as port:
        alone = await observations_of_a_start("alone")
        answers: list[bytes] = []
        scrapers = [asyncio.create_task(scrape_without_end(port, answers)) for _ in range(64)]
        await wait_until(lambda: len(answers) > 64)
        before = kernel.calls["observe_with_counts"]
        calls = 2  # CreateEndpoint and Join each run a pass
        assert await observations_of_a_start("among scrapers") <= alone
        # One more may have been under way since before the first call.
        assert kernel.calls["observe_with_counts"] - before <= calls + 1
        for scraper in scrapers:
            scraper.cancel()
        await asyncio.gather(*scrapers, return_exceptions=True)
    assert b"HTTP/1.1 200 OK" in answers
    await plugin.uninstall()


async def test_scrapes_on_tcp_share_an_observation_that_is_at_most_a_second_old(
    plugin: Plugin, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with published(plugin) as port:
        await scraped(port)
        before = kernel.calls["observe"]
        await asyncio.gather(*(scraped(port) for _ in range(10)))
        assert kernel.calls["observe"] - before <= 1
        monkeypatch.setattr(server, "PUBLIC_AGE", 0.2)
    async with published(plugin) as port:
        await scraped(port)
        before = kernel.calls["observe"]
        await asyncio.sleep(0.3)
        await scraped(port)
        assert kernel.calls["observe"] > before
