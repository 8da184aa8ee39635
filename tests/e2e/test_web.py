"""Look at a bus with a browser, from another machine."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.unit.cli.test_decoding import CAR
from tools.browser import browser

_PATIENCE = 150
"""Seconds; a busy machine that emulates the lab needs more than a minute for a container."""


async def test_the_page_shows_who_sends_what_on_a_real_bus(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    container = trio.containers[0]
    name = str(container.name)
    container.reload()
    inside = ("nsenter", "--net", "--target", str(container.attrs["State"]["Pid"]))
    sending = ("timeout", str(_PATIENCE), "cangen", "can0", "-g", "20", "-I", "123", "-L", "8")

    with command.start("web", trio.name, "--dbc", CAR, "--listen", "127.0.0.1:0") as web:
        assert web.stdout is not None
        reading = asyncio.to_thread(web.stdout.readline)
        url = (await asyncio.wait_for(reading, _PATIENCE)).split()[0]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(
                testbed.host, *inside, *sending, "-D", "i", check=False, timeout=2 * _PATIENCE
            )
            try:
                async with browser() as tab:
                    await tab.resize(1280, 2000)  # rows below the window have no text
                    await tab.open(url)
                    row = "(document.querySelector('.idrow')?.innerText ?? '')"
                    text = await tab.wait_for(f"{row}.includes('EngineSpeed') && {row}", _PATIENCE)
                    assert text.startswith(f"123\n{name}\nEngineData\n")
                    # The plugin's counters say the same as the frames that were seen.
                    member = (
                        "[...document.querySelectorAll('.member')].find((one) =>"
                        f" one.querySelector('.name').innerText === '{name}')"
                    )
                    await tab.wait_for(
                        f"/↑ [1-9]/.test({member}.querySelector('.sent').innerText)", _PATIENCE
                    )
                    await tab.wait_for(
                        "Number(document.querySelector('.head .rate').innerText) > 1", _PATIENCE
                    )
                    assert await tab.eval("document.querySelectorAll('.member').length") == 3
                    assert tab.complaints == []
            finally:
                testbed.host("pkill", "-x", "-f", " ".join(sending[2:]) + " -D i", check=False)
        web.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(web.wait, _PATIENCE) == 0
        assert web.stderr is not None
        assert "Traceback" not in web.stderr.read()
