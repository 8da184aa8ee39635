"""Interface names that the kernel accepts and nobody else uses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.model.names import pair_names, why_invalid
from tests.support.engine import engine_id
from tests.support.fake_kernel import FakeKernel

ID = engine_id("dashboard")


@pytest.mark.parametrize("name", ["can0", "vcan0", "a", "x" * 15, "can-0_a.b", "0", "..."])
def test_a_valid_name_is_accepted(name: str) -> None:
    assert why_invalid(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        (".", "path component"),
        ("..", "path component"),
        ("a/b", "character"),
        ("a:b", "character"),
        ("can%d", "character"),
        ("a b", "character"),
        ("a\tb", "character"),
        ("can0\n", "character"),
        ("a\0b", "character"),
        ("a\x7fb", "character"),
        ("cän", "character"),
        ("\u0661", "character"),
        ("\U0001f698", "character"),
        ("x" * 16, "is 16 bytes, an interface name has at most 15"),
    ],
)
def test_the_reason_why_a_name_is_invalid_is_returned(name: str, why: str) -> None:
    assert why in (why_invalid(name) or "")


def test_room_for_what_the_engine_appends_is_counted() -> None:
    assert why_invalid("x" * 14, room=1) is None
    assert "16 bytes with the 1 that the engine appends" in (why_invalid("x" * 15, room=1) or "")


@given(st.text(max_size=17))
def test_the_kernel_accepts_every_valid_name(name: str) -> None:
    if why_invalid(name) is None:
        assert FakeKernel().make(name) == 0


def test_a_pair_is_named_by_the_first_digits_of_its_endpoint() -> None:
    assert pair_names(ID, ()) == (f"vxcan{ID[:8]}", f"vxcan{ID[:8]}p")


def test_a_pair_gets_other_names_when_either_name_is_in_use() -> None:
    host_end, container_end = pair_names(ID, ())
    for taken in (host_end, container_end):
        assert not {host_end, container_end} & set(pair_names(ID, {taken}))


def test_a_pair_gets_a_name_even_when_all_parts_of_the_id_are_in_use() -> None:
    taken: set[str] = set()
    for _ in range(50):
        taken |= set(pair_names(ID, taken))
    assert len(taken) == 100


@given(st.text(min_size=1, max_size=130), st.sets(st.text(max_size=15), max_size=4))
def test_pair_names_are_valid_free_and_always_the_same(name: str, taken: set[str]) -> None:
    host_end, container_end = pair_names(name, taken)
    assert why_invalid(host_end) is why_invalid(container_end) is None
    assert host_end != container_end
    assert not {host_end, container_end} & taken
    assert re.fullmatch(r"vxcan[0-9a-f]{8}", host_end)
    assert pair_names(name, taken) == (host_end, container_end)
