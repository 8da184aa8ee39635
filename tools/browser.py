"""Drive a headless Chromium over its DevTools protocol: open pages, press keys, take pictures.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from tools.common.errors import ToolError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it refuses its sandbox to root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
_START = 60.0
"""Seconds that the browser may take to start on a busy machine."""

_ANSWER = 60.0
_POLL = 0.05

_KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}
"""Keys that write no letter: their codes, and the text that comes with them."""


class BrowserError(ToolError):
    """The browser, or a page in it, does not do what it should."""


class Tab:
    """A page of the browser.

    Attributes:
        complaints: what the page has logged as an error, and what its security policy blocked.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take the connection to the page."""
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            document = json.loads(message.data)
            answer = self._answers.pop(document.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(document)
            elif document.get("method") == "Log.entryAdded":
                entry = document["params"]["entry"]
                if entry["level"] == "error":
                    self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            elif document.get("method") == "Runtime.exceptionThrown":
                thrown = document["params"]["exceptionDetails"]
                text = thrown.get("exception", {}).get("description") or thrown["text"]
                self.complaints.append(text)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], _ANSWER)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}", "change the call")
        return dict(answer["result"])

    async def open(self, url: str) -> None:
        """Go to an address, and wait until its document is there."""
        await self.call("Page.navigate", url=url)
        await self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def eval(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are waited for."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details["text"]
            raise BrowserError(text, f"change the expression: {expression}")
        return result["result"].get("value")

    async def wait_for(self, expression: str, seconds: float = 30.0) -> Any:
        """Wait until an expression is true, and return its value.

        While the browser goes from one page to another it may fail.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            failed = ""
            try:
                if value := await self.eval(expression):
                    return value
            except BrowserError as error:
                if error.text.startswith("SyntaxError"):
                    raise
                failed = f" ({error.text})"
            if asyncio.get_running_loop().time() > deadline:
                text = await self.eval("document.body.innerText")
                raise BrowserError(
                    f"the page never had: {expression}{failed}", f"it shows:\n{text}"
                )
            await asyncio.sleep(_POLL)

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other: letters, or names such as Enter."""
        for key in keys:
            code, text = _KEYS.get(key, (0, key))
            event = {"key": key, "windowsVirtualKeyCode": code, "text": text}
            await self.call("Input.dispatchKeyEvent", type="keyDown", **event)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window, and whether the system is dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, *, whole: bool = False) -> bytes:
        """Return a PNG of the window, or of the whole page."""
        result = await self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )
        return base64.b64decode(result["data"])

    async def close(self) -> None:
        """Close the connection."""
        await self._socket.close()
        await self._reading


def program() -> str:
    """Return the browser's program.

    Raises:
        BrowserError: there is none.
    """
    for name in PROGRAMS:
        if (found := shutil.which(name)) is not None:
            return found
    raise BrowserError("this machine has no Chromium", "apt-get install chromium")


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """Start a browser with an empty page, and end it with the block."""
    with TemporaryDirectory(prefix="evercan-browser-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *(program(), *_OPTIONS, f"--user-data-dir={folder}", "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port = await _port(process, Path(folder) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = await answer.json()
                address = next(page for page in pages if page["type"] == "page")
                socket = await session.ws_connect(
                    address["webSocketDebuggerUrl"], max_msg_size=1 << 28
                )
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
                await tab.close()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def _port(process: asyncio.subprocess.Process, file: Path) -> int:
    """Wait until the browser has written the port of its protocol."""
    deadline = asyncio.get_running_loop().time() + _START
    while True:
        if lines := await asyncio.to_thread(_lines, file):
            return int(lines[0])
        if process.returncode is not None:
            raise BrowserError(
                f"{program()} ended with status {process.returncode}", "start it by hand to see why"
            )
        if asyncio.get_running_loop().time() > deadline:
            raise BrowserError(f"{program()} has not started within {_START:g} s", "try again")
        await asyncio.sleep(_POLL)
