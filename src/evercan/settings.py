"""The daemon's environment, as frozen values; every mistake is reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from evercan.errors import SettingsError
from evercan.values import NamedTuple


class Recovery(StrEnum):
    """What to do about drift: repair it, or leave it and report it."""

    AUTO = "auto"
    FAIL_FAST = "fail-fast"


LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SWITCH = ("off", "on")
_DAY = 86400


class Settings(NamedTuple):
    """How this daemon runs.

    Attributes:
        log_level: lowest level that is written.
        log_format: ``text`` for people, ``json`` for machines.
        recovery: whether drift is repaired.
        health_interval: seconds between two checks of the rule table; 0 checks at events only.
        probe_interval: seconds between two looks at the number of rules; 0 looks at none.
        metrics: host and TCP port to serve metrics on; None is the socket only.
        engine_ifname: the engine gives an interface the name that a plugin answers, as it
            does from release 29.8 on.
        state_folder: where the state file is.
    """

    log_level: str = "info"
    log_format: str = "text"
    recovery: Recovery = Recovery.AUTO
    health_interval: float = 30.0
    probe_interval: float = 1.0
    metrics: tuple[str, int] | None = None
    engine_ifname: bool = False
    state_folder: Path = Path("/var/lib/evercan")


class _Reader:
    """Reads variables one by one and keeps what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {key: value.strip() for key, value in environment.items() if value.strip()}
        self.mistakes: list[str] = []

    def text(self, name: str, fallback: str) -> str:
        return self._given.get(name, fallback)

    def choice(self, name: str, allowed: Sequence[str], fallback: str) -> str:
        value = self._given.get(name, fallback).lower()
        if value in allowed:
            return value
        self.mistakes.append(f"{name}={value!r} is unknown, choose one of {', '.join(allowed)}")
        return fallback

    def seconds(self, name: str, fallback: float) -> float:
        text = self._given.get(name)
        if text is None:
            return fallback
        try:
            value = float(text.removesuffix("s"))
        except ValueError:
            value = -1.0
        if 0 <= value <= _DAY:
            return value
        self.mistakes.append(f"{name}={text!r} is no number of seconds from 0 to {_DAY} (0 is off)")
        return fallback

    def address(self, name: str) -> tuple[str, int] | None:
        text = self._given.get(name)
        if text is None:
            return None
        host, _, port = text.rpartition(":")
        if host and port.isdecimal() and 0 < int(port) < 65536:
            return host.strip("[]"), int(port)
        self.mistakes.append(f"{name}={text!r} is no address, give HOST:PORT as in 127.0.0.1:9480")
        return None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the ``EVERCAN_*`` variables; an empty one counts as not set.

    Raises:
        SettingsError: lists every variable that is wrong, with what it may be.
    """
    read, default = _Reader(environment), Settings()
    settings = Settings(
        log_level=read.choice("EVERCAN_LOG_LEVEL", LOG_LEVELS, default.log_level),
        log_format=read.choice("EVERCAN_LOG_FORMAT", LOG_FORMATS, default.log_format),
        recovery=Recovery(read.choice("EVERCAN_RECOVERY", tuple(Recovery), default.recovery)),
        health_interval=read.seconds("EVERCAN_HEALTH_INTERVAL", default.health_interval),
        probe_interval=read.seconds("EVERCAN_PROBE_INTERVAL", default.probe_interval),
        metrics=read.address("EVERCAN_METRICS"),
        engine_ifname=read.choice("EVERCAN_ENGINE_IFNAME", SWITCH, SWITCH[0]) == "on",
        state_folder=Path(read.text("EVERCAN_STATE_FOLDER", str(default.state_folder))),
    )
    if read.mistakes:
        raise SettingsError(read.mistakes)
    return settings
