"""The daemon's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.errors import SettingsError
from evercan.settings import Recovery, Settings, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert Settings().health_interval == 30
    assert Settings().probe_interval == 1


def test_an_empty_variable_counts_as_not_set() -> None:
    names = (
        *("LOG_LEVEL", "LOG_FORMAT", "RECOVERY", "HEALTH_INTERVAL", "PROBE_INTERVAL", "METRICS"),
        "STATE_FOLDER",
    )
    assert read_settings({f"EVERCAN_{name}": " " for name in names}) == Settings()


def test_everything_can_be_set() -> None:
    assert read_settings(
        {
            "EVERCAN_LOG_LEVEL": "DEBUG",
            "EVERCAN_LOG_FORMAT": "json",
            "EVERCAN_RECOVERY": "fail-fast",
            "EVERCAN_HEALTH_INTERVAL": "2.5s",
            "EVERCAN_PROBE_INTERVAL": "0.5",
            "EVERCAN_METRICS": "127.0.0.1:9480",
            "EVERCAN_STATE_FOLDER": "/elsewhere",
        }
    ) == Settings(
        log_level="debug",
        log_format="json",
        recovery=Recovery.FAIL_FAST,
        health_interval=2.5,
        probe_interval=0.5,
        metrics=("127.0.0.1", 9480),
        state_folder=Path("/elsewhere"),
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:1", ("localhost", 1)),
        ("[::1]:9480", ("::1", 9480)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
    ],
)
def test_metrics_addresses(text: str, address: tuple[str, int]) -> None:
    assert read_settings({"EVERCAN_METRICS": text}).metrics == address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVERCAN_LOG_LEVEL", "loud"),
        ("EVERCAN_LOG_FORMAT", "xml"),
        ("EVERCAN_RECOVERY", "yes"),
        *(
            ("EVERCAN_HEALTH_INTERVAL", text)
            for text in ("-1", "often", "nan", "inf", "86401", "5m", "1,5")
        ),
        *(
            ("EVERCAN_METRICS", text)
            for text in ("9480", ":9480", "host:", "host:0", "host:65536", "host:http", "host:-1")
        ),
    ],
)
def test_a_bad_value_is_rejected_with_name_and_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as rejection:
        read_settings({name: value})
    assert f"{name}={value!r}" in str(rejection.value)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as rejection:
        read_settings(
            {
                "EVERCAN_LOG_LEVEL": "loud",
                "EVERCAN_LOG_FORMAT": "xml",
                "EVERCAN_RECOVERY": "never",
                "EVERCAN_HEALTH_INTERVAL": "often",
                "EVERCAN_PROBE_INTERVAL": "-1",
                "EVERCAN_METRICS": "9480",
            }
        )
    assert len(rejection.value.mistakes) == 6
