"""What the plugin needs in memory grows little with the members of a bus."""

from __future__ import annotations

import pytest

from bench.passes import pass_memory

LIMIT = 8_000


@pytest.mark.parametrize("members", [100, 200])
def test_a_member_takes_less_than_8_kb_of_memory(members: int) -> None:
    kept, most = pass_memory(1)
    more_kept, more_most = pass_memory(members)
    assert (more_kept - kept) / (members - 1) < LIMIT / 2
    assert (more_most - most) / (members - 1) < LIMIT
