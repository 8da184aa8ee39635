"""What a list lets through by the documentation is what the kernel lets through, exactly once."""

from __future__ import annotations

import json
import random
from pathlib import Path

from lab.testbed import Testbed
from tests.e2e import access_lists
from tests.e2e.test_conformance import RUN, archive
from tests.support.access_model import EFF, passes

LISTS = (
    *("all", "none", "123", "000:000", "00000000:00000000", "400~7FF", "00000400~1FFFFFFF"),
    *("123,200:700,2FF~7FF", "200:700,280:780,280", "00000123", "123,00000123~1FFFFFFF"),
    ",".join(f"{number:03X}" for number in range(0x100, 0x100 + 500)),
    ",".join(f"{0x18FF0000 + number:08X}" for number in range(500)),
    ",".join(f"{number:03X}~7FF,{number:08X}" for number in range(0x100, 0x100 + 250)),
)
CAN_IDS = (
    *(0x000, 0x0FF, 0x100, 0x123, 0x1FF, 0x200, 0x280, 0x2FF, 0x2F3, 0x2F4, 0x400, 0x7FF),
    *(EFF | can_id for can_id in (0x000, 0x123, 0x2FF, 0x400, 0x18FF0000, 0x18FF01F3)),
    *(EFF | can_id for can_id in (0x18FF01F4, 0x1FFFFFFF)),
)
"""With the frames of both kinds they fit into a socket's queue."""


def drawn(number: int) -> list[str]:
    """Draw lists of entries that are near the ids, the same in each run."""
    chance = random.Random(16)  # noqa: S311 - test data, not a secret
    entries = [
        f"{can_id & 0x1FFFFFFF:0{8 if can_id & EFF else 3}X}{sign}{mask & top:0{digits}X}"
        for can_id in CAN_IDS
        for digits, top in [(8, 0x1FFFFFFF) if can_id & EFF else (3, 0x7FF)]
        for sign in ":~"
        for mask in (0x1FFFFFFF, 0x1FFFFF00, 0x700, 0x0FF)
    ]
    return [",".join(chance.sample(entries, chance.randint(1, 8))) for _ in range(number)]


def test_the_kernel_lets_through_what_the_lists_let_through(testbed: Testbed) -> None:
    lists = [*LISTS, *drawn(60)]
    request = json.dumps({"lists": lists, "can_ids": CAN_IDS}).encode()
    testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
    packed = archive(Path(access_lists.__file__), request)
    answer = json.loads(testbed.host("sh", "-c", RUN, stdin=packed, timeout=120).stdout)
    assert len(answer) == len(lists)
    for text, (sent, received) in zip(lists, answer, strict=True):
        twice = [can_id for can_id in CAN_IDS if passes(text, can_id) for _ in ("classic", "FD")]
        assert sent == twice, text
        assert received == twice, text
