"""The picture of ``evercan web`` in the documentation."""

from __future__ import annotations

import struct

from tools.web_picture import HEIGHT, PICTURE, WIDTH, draw


def size_of(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


async def test_the_page_is_drawn_with_plots_of_two_signals() -> None:
    assert size_of(await draw(seconds=1)) == (WIDTH, HEIGHT)


def test_the_committed_picture_has_the_same_size() -> None:
    assert size_of(PICTURE.read_bytes()) == (WIDTH, HEIGHT)
