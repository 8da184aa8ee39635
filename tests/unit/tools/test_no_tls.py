"""``tools/rootfs/no_tls.py``, which is the module ``ssl`` in the plugin's root file system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tools.common.checkout import ROOT
from tools.rootfs import no_tls

SERVE = """
import asyncio, socket, sys, tempfile
from tools.rootfs import no_tls
sys.modules["ssl"] = no_tls
sys.modules["_ssl"] = None
import evercan.daemon, evercan.reporting.metrics, uvloop
import aiohttp
aiohttp.ClientSession
from evercan.libnetwork import web

async def page(request):
    return web.Response(body=b"complete")

async def main(path):
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(path)
    bound.listen()
    pages = web.Pages({("GET", "/"): page}, page)
    await pages.start(bound)
    await pages.publish("127.0.0.1", 0)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    print((await reader.read()).split()[-1].decode())
    writer.close()
    await pages.close(1)

with tempfile.TemporaryDirectory() as folder:
    uvloop.run(main(folder + "/socket"))
"""


def test_the_daemons_modules_load_and_serve_without_tls() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("complete\n", "")


@pytest.mark.parametrize(
    "needs_tls",
    [
        no_tls.MemoryBIO,
        no_tls.create_default_context().wrap_bio,
        no_tls.SSLContext(no_tls.PROTOCOL_TLS_SERVER).wrap_socket,
    ],
)
def test_everything_that_needs_tls_raises_an_error(needs_tls: Callable[[], object]) -> None:
    with pytest.raises(no_tls.SSLError, match="no TLS"):
        needs_tls()
