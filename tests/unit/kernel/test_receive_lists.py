"""The number of receive list entries, as ``/proc/net/can/stats`` shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.kernel.receive_lists import count_entries

# From kernel 6.12, with two members on one bus.
SHOWN = """
      153 transmitted frames (TXF)
      153 received frames (RXF)
      306 matched frames (RXMF)

      200 % total match ratio (RXMR)
        0 frames/s total tx rate (TXR)
        0 frames/s total rx rate (RXR)

      200 % current match ratio (CRXMR)
        1 frames/s current tx rate (CTXR)
        1 frames/s current rx rate (CRXR)

      200 % max match ratio (MRXMR)
       20 frames/s max tx rate (MTXR)
       20 frames/s max rx rate (MRXR)

       12 current receive list entries (CRCV)
       16 maximum receive list entries (MRCV)
"""


@pytest.mark.parametrize(
    ("content", "entries"), [(SHOWN, 12), ("", None), ("no numbers\n", None)], ids=str
)
def test_the_current_number_is_read(tmp_path: Path, content: str, entries: int | None) -> None:
    (tmp_path / "stats").write_text(content)
    assert count_entries(str(tmp_path / "stats")) == entries


def test_a_kernel_without_can_shows_none(tmp_path: Path) -> None:
    assert count_entries(str(tmp_path / "absent")) is None
    assert count_entries(str(tmp_path)) is None
