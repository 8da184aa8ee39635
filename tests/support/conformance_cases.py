"""Plays for ``stage``: what evercan asks of a kernel, also what the kernel refuses."""

from __future__ import annotations

from typing import Any

from evercan.controller import ControllerSettings
from tests.support.fake_kernel import FakeKernel
from tests.support.conformance_runner import Play, Stage

PLAIN, FD, ECHO = 0x04, 0x0C, 0x05
_LONG = "vcan567890123456"

_PAIR = (
    ("make bus", "vcan0"),
    ("make pair", "vxcan1", "vxcan1p"),
    ("engine takes", "vxcan1p", 1, "can0"),
)
_RULES = (
    (
        "lay",
        ("vxcan1", "vcan0", ECHO, 1),
        ("vcan0", "vxcan1", PLAIN, 1),
        ("vcan0", "vxcan1", FD, 1),
    ),
)

PLAYS: dict[str, Play] = {
    "a bus": (
        ("make bus", "vcan0"),
        ("make bus", "vcan0"),
        ("somebody sets down", "vcan0"),
        ("set up", "vcan0"),
        ("set up", "vcan0"),
        ("delete", "vcan0"),
        ("delete", "vcan0"),
    ),
    "a bus that somebody made": (("somebody makes", "vcan0"), ("make bus", "vcan0")),
    "names that cannot be": (
        ("make bus", _LONG),
        ("make bus", "vcan/0"),
        ("make bus", "vcan 0"),
        ("make bus", "vcan:0"),
        ("make bus", "."),
        ("make bus", ".."),
        ("make pair", _LONG, "vxcan1p"),
        ("make pair", "vxcan1", _LONG),
        ("make pair", "vxcan1", "vx/1"),
        ("set up", _LONG),
        ("set up", "vcan7"),
    ),
    "a pair": (
        ("make pair", "vxcan1", "vxcan1p"),
        ("set up", "vxcan1p"),
        ("somebody sets down", "vxcan1"),
        ("set up", "vxcan1"),
        ("delete", "vxcan1p"),
    ),
    "a pair whose names are taken": (
        ("make pair", "vxcan1", "vxcan1p"),
        ("make pair", "vxcan1", "vxcan1p"),
        ("make pair", "vxcan1", "vxcan2p"),
        ("make pair", "vxcan2", "vxcan1p"),
        ("make pair", "vxcan3", "vxcan3"),
        ("somebody makes", "vxcan4"),
        ("make pair", "vxcan4", "vxcan4p"),
    ),
    "the carrier of a pair": (
        *_PAIR,
        ("somebody sets down", "vxcan1"),
        ("set up", "vxcan1"),
        ("engine gives back", 1, "can0", "vxcan1p"),
        ("engine takes", "vxcan1p", 1, "can0"),
        ("delete", "vxcan1"),
    ),
    "rules": (
        *_PAIR,
        *_RULES,
        *_RULES,
        ("drop", ("vcan0", "vxcan1", PLAIN, 1), ("vcan0", "vxcan1", PLAIN, 1)),
        ("drop", ("vcan0", "vxcan1", PLAIN, 1)),
        ("drop", ("vcan0", "vxcan1", FD, 0)),
        ("drop", ("vcan0", "nobody", FD, 1)),
        ("somebody flushes",),
    ),
    "rules that cannot be": (
        *_PAIR,
        ("lay", ("vcan0", "nobody", PLAIN, 1)),
        ("lay", ("nobody", "vcan0", PLAIN, 1)),
        ("lay", ("lo", "vcan0", PLAIN, 1)),
        ("lay", ("vcan0", "vxcan1", PLAIN, 2)),
        ("lay", ("vcan0", "nobody", PLAIN, 1), ("vcan0", "vxcan1", PLAIN, 1)),
        ("lay", ("vcan0", "vxcan1", FD, 0)),
        ("lay", ("vcan0", "vcan0", PLAIN, 1)),
    ),
    "rules go with their interfaces": (
        *_PAIR,
        *_RULES,
        ("delete", "vxcan1"),
        ("make pair", "vxcan2", "vxcan2p"),
        ("lay", ("vcan0", "vxcan2", PLAIN, 1), ("vxcan2p", "vxcan2", PLAIN, 1)),
        ("delete", "vcan0"),
        ("delete", "vxcan2p"),
    ),
    "a pair is mended": (
        *_PAIR,
        ("delete", "vxcan1"),
        ("mend", "vxcan1", 1, "can0"),
        *_RULES,
        ("engine gives back", 1, "can0", "vxcan1p"),
    ),
    "a pair is mended whose name the host has too": (
        *_PAIR,
        ("delete", "vxcan1"),
        ("somebody makes", "can0"),
        ("mend", "vxcan1", 1, "can0"),
    ),
    "a pair cannot be mended": (
        *_PAIR,
        ("mend", "vxcan1", 1, "can0"),
        ("make pair", "vxcan2", "vxcan2p"),
        ("engine takes", "vxcan2p", 1, "can1"),
        ("delete", "vxcan2"),
        ("mend", "vxcan2", 1, "can0"),
        ("mend", "vxcan2", 1, "can1"),
        ("delete", "vxcan2"),
        ("somebody makes", "vxcan2r"),
        ("mend", "vxcan2", 1, "can1"),
        ("somebody deletes", "vxcan2r"),
        ("mend", "vxcan2", 1, "can1"),
    ),
}

_SETTINGS = {"bitrate": 500_000, "restart_ms": 100, "txqueuelen": 50}

PLAYS |= {
    "an end is named": (
        ("make pair", "vxcan1", "vxcan1p"),
        ("name", "vxcan1p", "engine"),
        ("name", "vxcan1p", "engine"),
        ("make pair", "vxcan2", "vxcan2p"),
        ("name", "vxcan2p", "engine"),
        ("name", "vxcan2p", "vxcan1"),
        ("engine takes", "vxcan1p", 1, "can0"),
        ("name", "vxcan2p", "engine"),
        ("name", "nobody", "engine"),
        ("delete", "vxcan2"),
        ("delete", "vxcan1"),
        ("mend", "vxcan1", 1, "can0", "engine"),
        ("delete", "vxcan1"),
        ("make pair", "vxcan3", "vxcan3p"),
        ("name", "vxcan3p", "engine"),
        ("mend", "vxcan1", 1, "can0", "engine"),
    ),
    "a controller": (
        ("somebody plugs", "can0"),
        ("set up", "can0"),
        ("configure", "can0", _SETTINGS),
        ("somebody sets down", "can0"),
        ("set up", "can0"),
        ("configure", "can0", {"bitrate": 83_300}),
        ("configure", "can0", {"bitrate": 125_000, "sample_point": 800, "listen_only": True}),
        ("configure", "can0", {"listen_only": False, "fd": False}),
        ("configure the queue of", "can0", 33),
        ("somebody unplugs", "can0"),
        ("configure", "can0", _SETTINGS),
        ("somebody plugs", "can0"),
        ("somebody configures", "can0", {"bitrate": 250_000}),
        ("somebody configures", "can0", {"bitrate": 125_000}),
    ),
    "a controller that refuses": (
        ("somebody plugs", "can0"),
        ("configure", "can0", {"bitrate": 3_000_000, "listen_only": True, "restart_ms": 5}),
        ("configure", "can0", {"bitrate": 500_000, "dbitrate": 2_000_000, "fd": True}),
        ("configure", "can0", {"restart_ms": 7}),
        ("configure", "can0", {"bitrate": 500_000}),
        ("configure", "can0", {"bitrate": 3_000_000, "listen_only": True, "restart_ms": 5}),
        ("configure", "can0", {"bitrate": 125_000, "dbitrate": 2_000_000, "fd": True}),
    ),
    "bitrates": (
        ("somebody plugs", "can0"),
        *(
            ("configure", "can0", {"bitrate": each})
            for each in (1_000_000, 800_000, 615_384, 100_000, 50_000, 33_333, 10_000, 5_000)
        ),
        *(
            ("configure", "can0", {"bitrate": 500_000, "sample_point": each})
            for each in (500, 666, 750, 900, 999)
        ),
        ("configure", "can0", {"bitrate": 4_000}),
    ),
    "a virtual bus is no controller": (
        ("make bus", "vcan0"),
        ("configure", "vcan0", {"bitrate": 500_000}),
    ),
    "rules to a controller": (
        ("somebody plugs", "can0"),
        ("configure", "can0", _SETTINGS),
        *_PAIR,
        ("lay", ("vxcan1", "can0", ECHO, 1), ("vxcan1", "can0", FD, 1), ("can0", "vxcan1", FD, 1)),
        ("somebody unplugs", "can0"),
    ),
}


class FakeWorld:
    """The world around a fake kernel; implements ``stage.World``."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def make(self, name: str) -> None:
        assert self._kernel.make(name) == 0

    def delete(self, name: str) -> None:
        self._kernel.delete(name)

    def set_down(self, name: str) -> None:
        assert self._kernel.set_flag(name, up=False) == 0

    def flush_rules(self) -> None:
        self._kernel.flush_rules()

    def take(self, name: str, sandbox: int, inside: str) -> None:
        self._kernel.take(name, sandbox, inside)

    def give_back(self, sandbox: int, inside: str, name: str) -> None:
        self._kernel.give_back(sandbox, inside, name)

    def inside(self, sandbox: int) -> dict[str, bool]:
        return {name: link.up for name, link in self._kernel.inside(sandbox).items()}

    def altnames(self, sandbox: int) -> dict[str, list[str]]:
        inside = self._kernel.inside(sandbox)
        return {name: sorted(link.altnames) for name, link in inside.items() if link.altnames}

    def plug(self, name: str) -> None:
        assert self._kernel.plug(name) == 0

    def unplug(self, name: str) -> None:
        self._kernel.delete(name)

    def configure(self, name: str, settings: ControllerSettings) -> int:
        # What ip says of a failure is 2.
        return 2 if self._kernel.set_up_controller(name, settings) else 0


def perform_on_fake(play: Play) -> list[dict[str, Any]]:
    kernel = FakeKernel()
    kernel.make("lo", "", up=True, is_can=False)
    return Stage(kernel, FakeWorld(kernel)).perform(play)
