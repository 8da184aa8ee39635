"""The picture of ``evercan watch`` in the README."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tools.watch_picture import PICTURE, draw


def words(svg: str) -> str:
    """Return the text of a picture, with a terminal's spaces as usual ones."""
    root = ET.fromstring(svg)  # noqa: S314 - drawn here
    return " ".join("".join(root.itertext()).replace("\xa0", " ").split())


async def test_the_screen_is_drawn_with_its_networks_containers_and_rates() -> None:
    shown = words(await draw(observations=3))
    for word in ("powertrain", "engine-control", "500 kbit/s", "frames/s", "can1", "absent"):
        assert word in shown


def test_the_committed_picture_is_of_the_same_host_and_loads_nothing() -> None:
    picture = PICTURE.read_text()
    assert "engine-control" in words(picture)
    assert "@font-face" not in picture
    assert "url(http" not in picture
