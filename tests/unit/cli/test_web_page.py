"""Test the page of ``evercan web`` in a real browser, against made-up hosts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from evercan.cli.access.databases import Databases
from evercan.cli.access.live import Live
from evercan.cli.errors import CliError, NoAnswer
from evercan.cli.pages.web import Access, Server
from evercan.cli.views.load import Bitrates
from tests.support.web_host import WebHost
from tests.unit.cli.test_decoding import CAR
from tests.unit.cli.test_web import TOKEN
from tools.browser import Tab, browser

SIZES = (320, 420, 768, 1280, 3840)
_HEIGHT = 900


@asynccontextmanager
async def page_of(
    host: WebHost, *files: str, token: str = "", bitrate: int = 0
) -> AsyncIterator[tuple[Tab, str, Server]]:
    """Serve a host, and open a browser that has not gone there yet; check that it complains not."""
    live = Live(host, Databases(files), Bitrates(bitrate))
    await asyncio.to_thread(live.start)
    server = Server(live, Access(token))
    try:
        port = await server.start("127.0.0.1", 0)
        async with browser() as tab:
            await tab.resize(1280, _HEIGHT)
            yield tab, f"http://127.0.0.1:{port}/", server
        assert live.error is None
    finally:
        live.close()
        await server.close()


async def opened(tab: Tab, url: str) -> None:
    """Open the page, and wait for its first frames."""
    await tab.open(url)
    await tab.wait_for("document.querySelectorAll('.idrow').length > 0")


def text_of(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).innerText"


def number_of(selector: str) -> str:
    return f"document.querySelectorAll({json.dumps(selector)}).length"


async def focused(tab: Tab) -> str:
    """Return the class and the text of what has the focus."""
    return str(
        await tab.eval("document.activeElement.className + ': ' + document.activeElement.innerText")
    )


async def test_it_shows_buses_members_ids_signals_and_load() -> None:
    async with page_of(WebHost(rate=300), CAR, bitrate=500_000) as (tab, url, _):
        await opened(tab, url)
        await tab.wait_for(f"{text_of('.head .loaded')}.startsWith('load ')")
        topology = await tab.eval(text_of("#topology"))
        for words in ("vcan0", "powertrain", "500 kbit/s", "dashboard", "gateway", "logger"):
            assert words in topology
        await tab.wait_for("/↑ \\d/.test(document.querySelector('.stub .sent').innerText)")
        assert await tab.eval(text_of("#problems li")) == "●\nNo problems."
        assert await tab.eval(text_of("#verdict")) == "all healthy"
        assert await tab.eval(number_of("#member-table tbody tr")) == 3
        first = await tab.eval(text_of(".idrow"))
        assert first.startswith("123\ndashboard\nEngineData\n")
        assert "EngineSpeed" in first
        await tab.wait_for(f"{number_of('.data .changed')} > 0")
        # The curves are drawn: the canvases are not empty.
        await tab.wait_for(
            "(() => { const c = document.querySelector('#loads canvas'); return c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data.some((v) => v) })()"
        )
        assert tab.complaints == []


async def test_problems_have_remedies_and_limits_faults_and_errors_are_marked() -> None:
    async with page_of(WebHost(members=6, rate=600, troubled=True), CAR) as (tab, url, _):
        await opened(tab, url)
        assert await tab.eval(text_of("#verdict")) == "1 problem, 1 warning"
        assert await tab.eval("document.title") == "evercan: 1 problem, 1 warning"
        problems = await tab.eval(text_of("#problems"))
        assert "What to do: docker restart gateway" in problems
        assert "What to do: evercan fault clear powertrain" in problems
        assert await tab.eval(text_of(".bus[data-fault] .badge.fault")) == "a fault is set"
        assert await tab.eval(number_of(".bus[data-fault]")) == 1
        limited = "[...document.querySelectorAll('.member')].find((m) => m.querySelector('.limit'))"
        assert "dashboard" in await tab.eval(f"{limited}.innerText")
        assert "at most 200 frames/s" in await tab.eval(f"{limited}.querySelector('.limit').title")
        assert "at most 200 frames/s" in await tab.eval(text_of("#members"))
        assert await tab.eval(text_of(".member[data-style=fail]")) == "✖\ngateway\ngone"
        assert await tab.eval(number_of(".member[data-style=fail] .dot:not([data-speed='0'])")) == 0
        await tab.wait_for("document.querySelectorAll('.bus')[1].innerText.includes('last error')")
        assert "error-passive" in await tab.eval("document.querySelectorAll('.bus')[1].innerText")
        # Another bus has no members, ids and problems of this one.
        await tab.press("b", "b")
        assert await tab.eval("[...document.querySelectorAll('#tabs [aria-pressed=true]')]"
                              ".map((tab) => tab.dataset.bus)") == ["can1"]  # fmt: skip
        assert await tab.eval(text_of("#problems li")) == "●\nNo problems."
        assert "dashboard" not in await tab.eval(text_of("main"))
        assert tab.complaints == []


async def test_everything_can_be_done_with_keys() -> None:
    async with page_of(WebHost(rate=300), CAR) as (tab, url, _):
        await opened(tab, url)
        await tab.press("?")
        assert "filter the ids" in await tab.eval(text_of("dialog[open]"))
        await tab.press("Escape")
        assert await tab.eval(number_of("dialog[open]")) == 0
        # The filter takes letters that are keys elsewhere.
        await tab.press("/", *"gateway 40")
        assert await tab.eval(text_of("#counted")) == "4 of 15 ids"
        await tab.press("Escape", "6")
        assert (await focused(tab)).startswith("idrow: 123")
        await tab.press("ArrowDown", "ArrowUp", "ArrowRight")
        assert (await focused(tab)).startswith("chip: EngineSpeed")
        await tab.press("Enter")
        await tab.wait_for(f"{number_of('.lane')} === 1")
        await tab.press("ArrowRight", "Enter", "ArrowLeft", "ArrowLeft", "ArrowDown", "Enter")
        await tab.wait_for(f"{number_of('.lane')} >= 4")
        assert (await focused(tab)).startswith("idrow: 200")
        await tab.press("ArrowUp", "Enter")
        await tab.wait_for(f"{number_of('.chip[aria-pressed=true]')} >= 6")
        await tab.press("x")
        assert await tab.eval(number_of(".lane")) == 0
        await tab.press("s")
        assert await tab.eval(text_of("#sort [aria-pressed=true]")) == "sender"
        await tab.press("p")
        await tab.wait_for(f"{text_of('#banner')}.includes('Paused')")
        counts = await tab.eval(text_of(".idrow .counted"))
        await asyncio.sleep(0.7)
        assert await tab.eval(text_of(".idrow .counted")) == counts
        await tab.press("p")
        await tab.wait_for(f"{text_of('.idrow .counted')} !== {json.dumps(counts)}")
        for theme in ("dark", "light", None):
            await tab.press("t")
            assert await tab.eval("document.documentElement.getAttribute('data-theme')") == theme
        await tab.press("4")
        assert await tab.eval("document.activeElement.id") == "plots"
        assert tab.complaints == []


async def test_plots_have_the_past_and_are_there_again_after_a_reload() -> None:
    async with page_of(WebHost(rate=300), CAR) as (tab, url, _):
        await opened(tab, url)
        await asyncio.sleep(1.5)
        await tab.eval("document.querySelector('.chip').click()")
        drawn = (
            "(() => { const c = document.querySelector('.lane canvas'); if (!c) return 0;"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 0; i < d.length; i += 4)"
            "  if (d[i + 1] > d[i] + 60) n += 1; return n })()"
        )
        await tab.wait_for(f"{drawn} > 20")
        await tab.wait_for(f"{text_of('.lane .value')}.endsWith('rpm')")
        await opened(tab, url)
        await tab.wait_for(f"{text_of('.lane')}.includes('EngineSpeed')")
        assert tab.complaints == []


async def test_names_and_values_are_text_and_never_read_as_html() -> None:
    bad = "<img src=x onerror=document.title='broken'>"

    class Bad(WebHost):
        def _trouble(self, network: dict[str, Any]) -> tuple[list[Any], list[Any]]:
            problem = {"kind": bad, "bus": "vcan0", "endpoint": None, "text": bad, "remedy": bad}
            network["endpoints"][0]["access"] = {"send": bad, "receive": bad}
            return [problem], []

    async with page_of(Bad(troubled=True), CAR) as (tab, url, _):
        await opened(tab, url)
        await tab.wait_for(f"{text_of('#problems')}.includes({json.dumps(bad)})")
        assert bad in await tab.eval(text_of("#members"))
        assert await tab.eval(number_of("img")) == 1
        assert await tab.eval("document.title") == "evercan: 1 problem"
        assert tab.complaints == []


async def test_the_policy_stops_scripts_and_other_sites() -> None:
    async with page_of(WebHost()) as (tab, url, _):
        await opened(tab, url)
        await tab.eval(
            "document.body.append(Object.assign(document.createElement('script'),"
            "{textContent: 'document.title = \"run\"'}))"
        )
        await tab.eval("fetch('http://127.0.0.1:9/').catch(() => 0)")
        assert await tab.eval("document.title") == "evercan"
        assert len([one for one in tab.complaints if "Content Security Policy" in one]) >= 2


async def test_a_browser_signs_in_with_the_token() -> None:
    async with page_of(WebHost(), token=TOKEN) as (tab, url, server):
        await tab.open(url)
        assert await tab.eval("location.pathname") == "/login"
        await tab.press(*"wrong", "Enter")
        await tab.wait_for(f"{text_of('main')}.includes('This is not the token.')")
        await tab.wait_for("document.activeElement.id === 'token'")
        await tab.press(*TOKEN, "Enter")
        await tab.wait_for("document.querySelectorAll('.idrow').length > 0")
        assert await tab.eval("location.href") == url
        assert await tab.eval("document.cookie") == ""
        # The session ends while the page is open.
        await tab.call("Network.clearBrowserCookies")
        assert server._pages is not None
        server._pages.stop()
        await tab.wait_for("location.pathname === '/login'")


async def test_the_page_says_what_does_not_answer_and_connects_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.access.live.RETRY", 0.2)
    host = WebHost()
    async with page_of(host) as (tab, url, server):
        await opened(tab, url)
        host.status_error = NoAnswer("plugin evercan:latest does not answer")
        host.frames_error = CliError("candump has ended")
        for words in ("candump has ended", "plugin evercan:latest does not answer"):
            await tab.wait_for(f"{text_of('#banner')}.includes({json.dumps(words)})")
        assert "dashboard" in await tab.eval(text_of("#topology"))
        host.status_error = host.frames_error = None
        await tab.wait_for("document.querySelector('#banner').hidden")
        # The server ends, and another one is started at its place.
        port = int(url.rstrip("/").rpartition(":")[2])
        source, access = server._source, server._access
        await server.close()
        await tab.wait_for(f"{text_of('#banner')}.includes('lost; trying again')")
        again = Server(source, access)
        await again.start("127.0.0.1", port)
        try:
            await tab.wait_for("document.querySelector('#banner').hidden")
        finally:
            await again.close()


@pytest.mark.parametrize("members", [0, 3, 30])
async def test_nothing_is_wider_than_the_window(members: int) -> None:
    host = WebHost(members=members, rate=20.0 * max(1, members), troubled=members > 3)
    async with page_of(host, CAR) as (tab, url, _):
        await tab.open(url)
        await tab.wait_for(f"{number_of('.bus')} > 0")
        if members:
            await opened(tab, url)
        for width in SIZES:
            for dark in (False, True):
                await tab.resize(width, _HEIGHT, dark=dark)
                # It is laid out again by an observer, after this frame.
                await tab.eval("new Promise((r) => requestAnimationFrame(() => setTimeout(r, 60)))")
                wide = await tab.eval("document.documentElement.scrollWidth")
                assert wide <= width, f"{width}: {wide}"
                cut = await tab.eval(
                    "[...document.querySelectorAll('.card, .head, .stub, figcaption, #ids .bar')]"
                    ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText)"
                )
                assert cut == [], width
        assert tab.complaints == []


async def test_a_full_page_leaves_time_for_thirty_frames_a_second() -> None:
    async with page_of(WebHost(members=30, rate=3000), CAR) as (tab, url, _):
        await tab.call("Performance.enable", timeDomain="threadTicks")
        await opened(tab, url)
        await tab.wait_for(f"{number_of('.idrow')} === 150")
        await asyncio.sleep(1)
        before = await busy(tab)
        await asyncio.sleep(4)
        used = (await busy(tab) - before) / 4
        # It was 0.09; at 0.4, each of the four snapshots a second would take three frames' time.
        assert used < 0.4, f"{used:.2f} s of each second"


async def busy(tab: Tab) -> float:
    """Return the seconds of processor time that the page's thread has used."""
    metrics = (await tab.call("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))
