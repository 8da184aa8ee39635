"""Reads the metrics from the plugin's socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import request


async def scraped(path: Path) -> str:
    """Return the text that Prometheus reads."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request("metrics", b"", method="GET"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    text = (await reader.readexactly(length)).decode()
    writer.close()
    await writer.wait_closed()
    return text


async def scrape(path: Path) -> dict[tuple[str, ...], float]:
    """Return the samples by their name and the values of their labels, ordered by label."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await scraped(path))
        for sample in family.samples
    }
