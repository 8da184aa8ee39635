"""The number of receive list entries, as ``/proc/net/can/stats`` shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.kernel.receive_lists import ReceiveLists

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
    receive_lists = ReceiveLists(str(tmp_path / "stats"))
    assert receive_lists.count() == entries
    assert receive_lists.count() == entries
    receive_lists.close()


def test_each_count_reads_the_file_again(tmp_path: Path) -> None:
    (tmp_path / "stats").write_text(SHOWN)
    receive_lists = ReceiveLists(str(tmp_path / "stats"))
    assert receive_lists.count() == 12
    (tmp_path / "stats").write_text(SHOWN.replace("12 current", "8 current"))
    assert receive_lists.count() == 8
    receive_lists.close()


def test_a_kernel_without_can_shows_none_until_the_module_is_loaded(tmp_path: Path) -> None:
    receive_lists = ReceiveLists(str(tmp_path / "stats"))
    assert receive_lists.count() is None
    (tmp_path / "stats").write_text(SHOWN)
    assert receive_lists.count() == 12
    receive_lists.close()


def test_a_file_that_cannot_be_read_shows_none_and_is_opened_again(tmp_path: Path) -> None:
    (tmp_path / "stats").mkdir()
    receive_lists = ReceiveLists(str(tmp_path / "stats"))
    assert receive_lists.count() is None
    (tmp_path / "stats").rmdir()
    (tmp_path / "stats").write_text(SHOWN)
    assert receive_lists.count() == 12
    receive_lists.close()
