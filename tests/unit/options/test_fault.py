"""What ``evercan fault set`` takes, and how it names what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import EvercanError, OptionError, RequestError
from evercan.model.access import EFF_FLAG
from evercan.model.fault import Effect
from evercan.options.fault import entries_of, read_duration, read_effect, read_fault_ids


def test_an_effect_is_read_from_texts() -> None:
    given_ = {
        "--loss": "5%",
        "--delay": "20ms",
        "--jitter": "500us",
        "--duplicate": "0.1 %",
        "--corrupt": "100%",
    }
    effect = read_effect(given_)
    assert effect == Effect(50_000, 1_000, 1_000_000, 20_000, 500)
    assert effect.words() == "loss 5%, delay 20 ms ± 0.5 ms, duplicate 0.1%, corrupt 100%"


@given(st.integers(1, 1_000_000))
def test_every_part_is_read_to_the_millionth(part: int) -> None:
    assert read_effect({"--loss": f"{part / 10_000:.4f}%"}) == Effect(loss=part)


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"--loss": "5"}, "option --loss='5': is not a percentage"),
        ({"--loss": "-5%"}, "option --loss='-5%': is not a percentage"),
        ({"--loss": "101%"}, "option --loss='101%': is more than 100%"),
        ({"--corrupt": "nan%"}, "option --corrupt='nan%': is not a percentage"),
        ({"--delay": "20"}, "option --delay='20': is not a duration"),
        ({"--delay": "61s"}, "option --delay='61s': is too long"),
        ({"--jitter": "5ms"}, "option --jitter='5ms': needs a delay"),
        ({"--delay": "1ms", "--jitter": "5ms"}, "option --jitter='5ms': is more than the delay"),
        ({}, "the fault has no effect"),
        ({"--loss": "0%", "--delay": "0ms"}, "the fault has no effect"),
    ],
)
def test_a_wrong_effect_is_rejected_with_option_value_and_remedy(
    given_: dict[str, str], named: str
) -> None:
    with pytest.raises(RequestError) as raised:
        read_effect(given_)
    assert raised.value.text.startswith(named)
    assert raised.value.remedy.startswith("give ")


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, None), ("60s", 60), ("5min", 300), ("2h", 7200), ("1.5 s", 1.5)]
)
def test_a_duration_is_read(text: str | None, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "0s", "169h", "1h30m", "-1s", "9" * 99 + "s"])
def test_a_wrong_duration_is_rejected(text: str) -> None:
    with pytest.raises(OptionError, match="option --for="):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("123", [(0x123, 0x7FF)]),
        ("123:7F0", [(0x120, 0x7F0)]),
        ("00000123,7", [(EFF_FLAG | 0x123, 0x1FFF_FFFF), (0x007, 0x7FF)]),
    ],
)
def test_ids_are_read_as_limits_read_them(text: str, entries: list[tuple[int, int]]) -> None:
    assert list(entries_of(read_fault_ids(text))) == entries


@pytest.mark.parametrize("text", ["123~7FF", "none", "xyz", "1234", ",", ",".join(["1:1"] * 501)])
def test_wrong_ids_are_rejected(text: str) -> None:
    with pytest.raises(OptionError, match="option --id="):
        read_fault_ids(text)


def test_too_many_ids_are_rejected() -> None:
    with pytest.raises(OptionError, match="has 33 entries"):
        read_fault_ids(",".join(f"{number:03X}" for number in range(33)))


@given(st.text(max_size=12), st.sampled_from(["--loss", "--delay", "--jitter", "--corrupt"]))
def test_any_text_is_taken_or_rejected_with_an_error_of_evercan(text: str, option: str) -> None:
    for read in (lambda: read_effect({option: text}), lambda: read_fault_ids(text)):
        try:
            read()
        except EvercanError as error:
            assert error.remedy  # noqa: PT017 - it need not be raised
