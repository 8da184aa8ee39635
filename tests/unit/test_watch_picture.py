"""The picture of ``evercan watch`` in the README."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from build.docs import from_elsewhere
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
    assert "engine-control" in words(PICTURE.read_text())
    assert "@font-face" not in PICTURE.read_text()
    assert not [found for page, found in from_elsewhere(PICTURE.parent) if page == PICTURE]
