"""Cases for ``conformance_runner``: what evercan asks of a kernel, and what the kernel rejects."""

from __future__ import annotations

from typing import Any

from evercan.model.controller import ControllerSettings
from tests.support.conformance_runner import Case, Runner
from tests.support.fake_kernel import FakeKernel

PLAIN, FD, ECHO = 0x04, 0x0C, 0x05
_LONG = "vcan567890123456"

_PAIR = (
    ("create bus", "vcan0"),
    ("create pair", "vxcan1", "vxcan1p"),
    ("engine moves in", "vxcan1p", 1, "can0"),
)
_RULES = (
    (
        "add rules",
        ("vxcan1", "vcan0", ECHO, 1),
        ("vcan0", "vxcan1", PLAIN, 1),
        ("vcan0", "vxcan1", FD, 1),
    ),
)

_MANY = ",".join(f"{0x100 + number:03X},{0x18FF0000 + number:08X}" for number in range(250))
"""As many entries as a list can have."""

_LOSES = {"loss": 0x0CCC_CCCC}
_DUPLICATES = {"duplicate": 1}
_EVERYTHING_ELSE = {
    **_LOSES,
    "corrupt": 0xFFFF_FFFF,
    "delay": 20_000_000,
    "jitter": 5_000_001,
    "limit": 1_000_000,
}
_EVERYTHING = {**_EVERYTHING_ELSE, **_DUPLICATES}

MIXED_DUPLICATES = "faults beside one that duplicates frames"
"""The case that tells whether a kernel takes ``netem`` qdiscs beside one that duplicates."""

CASES: dict[str, Case] = {
    "a bus": (
        ("create bus", "vcan0"),
        ("create bus", "vcan0"),
        ("somebody sets down", "vcan0"),
        ("bring up", "vcan0"),
        ("bring up", "vcan0"),
        ("delete", "vcan0"),
        ("delete", "vcan0"),
    ),
    "a tag is cleared": (
        ("create bus", "vcan0"),
        ("clear the tag of", "vcan0"),
        ("clear the tag of", "vcan0"),
        ("create pair", "vxcan1", "vxcan1p"),
        ("clear the tag of", "vxcan1"),
        ("clear the tag of", "nobody"),
    ),
    "MTUs": (
        ("create bus", "vcan0"),
        ("create pair", "vxcan1", "vxcan1p"),
        ("somebody sets the mtu of", "vcan0", 16),
        ("set the mtu of", "vcan0", 72),
        ("set the mtu of", "vcan0", 72),
        ("somebody sets the mtu of", "vxcan1", 16),
        ("set the mtu of", "vxcan1", 72),
        ("engine moves in", "vxcan1p", 1, "can0"),
        ("set the mtu of", "vxcan1", 16),
        ("set the mtu of", "vxcan1", 72),
        ("set the mtu of", "nobody", 72),
    ),
    "a bus that somebody created": (("somebody creates", "vcan0"), ("create bus", "vcan0")),
    "a bus in the place of the host's own": (("create bus for the host", "vcan0"),),
    "invalid names": (
        ("create bus", _LONG),
        ("create bus", "vcan/0"),
        ("create bus", "vcan 0"),
        ("create bus", "vcan:0"),
        ("create bus", "."),
        ("create bus", ".."),
        ("create pair", _LONG, "vxcan1p"),
        ("create pair", "vxcan1", _LONG),
        ("create pair", "vxcan1", "vx/1"),
        ("bring up", _LONG),
        ("bring up", "vcan7"),
    ),
    "a pair": (
        ("create pair", "vxcan1", "vxcan1p"),
        ("bring up", "vxcan1p"),
        ("somebody sets down", "vxcan1"),
        ("bring up", "vxcan1"),
        ("delete", "vxcan1p"),
    ),
    "a pair whose names are in use": (
        ("create pair", "vxcan1", "vxcan1p"),
        ("create pair", "vxcan1", "vxcan1p"),
        ("create pair", "vxcan1", "vxcan2p"),
        ("create pair", "vxcan2", "vxcan1p"),
        ("create pair", "vxcan3", "vxcan3"),
        ("somebody creates", "vxcan4"),
        ("create pair", "vxcan4", "vxcan4p"),
    ),
    "the carrier of a pair": (
        *_PAIR,
        ("somebody sets down", "vxcan1"),
        ("bring up", "vxcan1"),
        ("engine moves out", 1, "can0", "vxcan1p"),
        ("engine moves in", "vxcan1p", 1, "can0"),
        ("delete", "vxcan1"),
    ),
    "rules": (
        *_PAIR,
        *_RULES,
        *_RULES,
        ("remove rules", ("vcan0", "vxcan1", PLAIN, 1), ("vcan0", "vxcan1", PLAIN, 1)),
        ("remove rules", ("vcan0", "vxcan1", PLAIN, 1)),
        ("remove rules", ("vcan0", "vxcan1", FD, 0)),
        ("remove rules", ("vcan0", "nobody", FD, 1)),
        ("somebody flushes",),
    ),
    "invalid rules": (
        *_PAIR,
        ("add rules", ("vcan0", "nobody", PLAIN, 1)),
        ("add rules", ("nobody", "vcan0", PLAIN, 1)),
        ("add rules", ("lo", "vcan0", PLAIN, 1)),
        ("add rules", ("vcan0", "vxcan1", PLAIN, 2)),
        ("add rules", ("vcan0", "nobody", PLAIN, 1), ("vcan0", "vxcan1", PLAIN, 1)),
        ("add rules", ("vcan0", "vxcan1", FD, 0)),
        ("add rules", ("vcan0", "vcan0", PLAIN, 1)),
    ),
    "rules are removed with their interfaces": (
        *_PAIR,
        *_RULES,
        ("delete", "vxcan1"),
        ("create pair", "vxcan2", "vxcan2p"),
        ("add rules", ("vcan0", "vxcan2", PLAIN, 1), ("vxcan2p", "vxcan2", PLAIN, 1)),
        ("delete", "vcan0"),
        ("delete", "vxcan2p"),
    ),
    "filters": (
        *_PAIR,
        ("create filter interface", "vxcan1f"),
        ("create filter interface", "vxcan1f"),
        ("let send", "vxcan1", "vxcan1f", {"send": "123,200:700,400~7FF,12345678"}),
        ("let receive", "vxcan1f", "vxcan1", {}),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "none"}),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "100~7FF"}),
        ("let send", "vxcan1", "vxcan1f", {"send_rate": 100, "send_burst": 10}),
        ("let send", "vxcan1", "vxcan1f", {"send": "1", "send_rate": 999_999, "send_burst": 1}),
        ("somebody flushes the filters of", "vxcan1"),
        ("let send", "vxcan1", "vxcan1f", {"send": _MANY}),
        ("let send", "vxcan1", "nobody", {"send": "123"}),
        ("let send", "nobody", "vxcan1f", {"send": "123"}),
        ("let send", "vxcan1", "vxcan1f", {"send": "123"}),
        ("set the mtu of", "vxcan1f", 72),
        ("delete", "vxcan1f"),
        ("create filter interface", "vxcan1f"),
        ("let send", "vxcan1", "vxcan1f", {"send": "123"}),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "7FF"}),
        ("delete", "vxcan1"),
        ("repair", "vxcan1", 1, "can0"),
        ("let send", "vxcan1", "vxcan1f", {"send": "123"}),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "7FF"}),
        ("delete", "vxcan1f"),
    ),
    "faults": (
        *_PAIR,
        ("remove faults", "vxcan1", None),
        ("set faults", "vxcan1", None, [], []),
        ("set faults", "vxcan1", None, [[1, _LOSES]], [[1, "", 0, 0]]),
        ("set faults", "vxcan1", None, [[1, _LOSES]], [[1, "vcan0", 0x123, 0x7FF]]),
        ("set faults", "vxcan1", None, [[1, _LOSES]], [[1, "nobody", 0x123, 0x7FF]]),
        (
            *("set faults", "vxcan1", None),
            [[1, _EVERYTHING_ELSE], [2, {}], [15, _LOSES]],
            [[15, "", 0x92345678, 0x9FFFFFFF], [1, "vcan0", 0x80000000, 0x80000000], [2]],
        ),
        ("set faults", "vxcan1", None, [[1, _LOSES], [15, _EVERYTHING_ELSE]], [[15], [1], [0]]),
        ("set faults", "vxcan1", None, [[15, _EVERYTHING]], [[15]]),
        ("set faults", "vcan0", None, [[3, None]], [[3, "vxcan1", 0, 0, 20], [3], [0]]),
        ("set faults", "vcan0", None, [[3, _LOSES]], [[3, "vxcan1", 0, 0]]),
        ("set faults", "vcan0", None, [[3, None]], [[0, "", 0, 0, 0, True], [3, "", 0, 0, 20]]),
        ("set faults", "vcan0", None, [[3, None]], [[3, "vxcan1", 0, 0, 65535], [3], [0]]),
        ("somebody removes the queue of", "vcan0"),
        ("remove faults", "vcan0", None),
        ("set faults", "vcan0", None, [[1, None]], [[1]]),
        ("somebody sets a queue on", "vcan0"),
        ("set faults", "vcan0", None, [[1, None]], [[1]]),
        ("remove faults", "vcan0", None),
        ("somebody removes the queue of", "vcan0"),
        ("create pair", "vxcan2", "vxcan2p"),
        ("set faults", "vcan0", None, [[1, None]], [[1, "vxcan2"]]),
        ("delete", "vxcan2"),
        ("create pair", "vxcan2", "vxcan2p"),
        ("set faults", "vcan0", None, [[1, None]], [[1, "vxcan2"]]),
        ("remove faults", "vcan0", None),
        ("delete", "vxcan1"),
        ("set faults", "vxcan1", None, [[1, _LOSES]], [[1]]),
        ("remove faults", "vxcan1", None),
    ),
    MIXED_DUPLICATES: (
        *_PAIR,
        ("set faults", "vxcan1", None, [[1, _LOSES]], [[1]]),
        ("set faults", "vxcan1", None, [[1, _EVERYTHING], [2, {}], [15, _LOSES]], [[15], [1], [2]]),
        ("set faults", "vxcan1", None, [[1, _LOSES], [15, _EVERYTHING]], [[15], [1], [0]]),
        ("set faults", "vxcan1", None, [[15, _DUPLICATES]], [[15]]),
        ("set faults", "vxcan1", None, [[3, None], [15, _DUPLICATES]], [[15], [3]]),
        ("set faults", "vxcan1", None, [[1, _DUPLICATES], [15, _LOSES]], [[1], [15]]),
        ("set faults", "vxcan1", None, [[1, _LOSES], [2, {}]], [[1], [2]]),
        ("set faults", "vxcan1", None, [[1, _LOSES], [2, _DUPLICATES]], [[1], [2]]),
        ("set faults", "vxcan1", None, [[2, _DUPLICATES]], [[2]]),
        ("set faults", "vcan0", None, [[1, _DUPLICATES]], [[1]]),
    ),
    "faults of a member with limits": (
        *_PAIR,
        ("create filter interface", "vxcan1f"),
        ("set faults", "vxcan1", "vxcan1f", [[1, _LOSES]], [[1]]),
        ("let send", "vxcan1", "vxcan1f", {}),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "100~7FF"}),
        ("set faults", "vxcan1", "vxcan1f", [[1, _LOSES]], [[1, "vcan0"]]),
        ("set faults", "vxcan1", "vxcan1f", [[1, _LOSES], [2, {}]], [[2, "", 1, 2], [1], [0]]),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "123"}),
        ("set faults", "vxcan1", "vxcan1f", [[2, {}]], [[2, "", 1, 3]]),
        ("somebody flushes the filters of", "vxcan1f"),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "123"}),
        ("set faults", "vxcan1", "vxcan1f", [[2, {}]], [[2, "", 1, 3]]),
        ("somebody removes the queue of", "vxcan1"),
        ("remove faults", "vxcan1", "vxcan1f"),
        ("set faults", "vxcan1", "vxcan1f", [[2, {}]], [[2, "", 1, 3]]),
        ("remove faults", "vxcan1", "vxcan1f"),
        ("set faults", "vxcan1", "vxcan1f", [[2, {}]], [[2, "", 1, 3]]),
        ("delete", "vxcan1f"),
        ("create filter interface", "vxcan1f"),
    ),
    "a bus as slow as a wire": (
        ("make a wire of", "vcan0", 500_000),
        ("create bus", "vcan0"),
        ("create pair", "vxcan1", "vxcan1p"),
        ("lead into the wire of", "vcan0", "vcan0", True),
        ("lead into the wire of", "vcan0", "vxcan1", False),
        ("lead into the wire of", "vcan0", "vxcan1", False),
        ("lead into the wire of", "vcan1", "vxcan1", False),
        ("lead into the wire of", "vcan0", "nobody", False),
        ("somebody flushes the filters of", "vxcan1"),
        ("lead into the wire of", "vcan0", "vxcan1", False),
        ("lead past the wire", "vxcan1"),
        ("lead past the wire", "vxcan1"),
        ("lead into the wire of", "vcan0", "vxcan1", False),
        ("make a wire of", "vcan0", 1_000_000, 5_000_000),
        ("lead into the wire of", "vcan0", "vcan0", True),
        ("somebody removes the queue of the wire of", "vcan0"),
        ("make a wire of", "vcan1", 10_000, 20_000_000),
        ("delete the wire of", "vcan0"),
        ("lead past the wire", "vcan0"),
        ("delete the wire of", "vcan0"),
        ("delete the wire of", "vcan1"),
    ),
    "a wire of a member with limits": (
        ("create pair", "vxcan1", "vxcan1p"),
        ("create filter interface", "vxcan1f"),
        ("make a wire of", "vcan0", 125_000),
        ("lead into the wire of", "vcan0", "vxcan1f", False),
        ("let receive", "vxcan1f", "vxcan1", {"receive": "100"}),
        ("lead into the wire of", "vcan0", "vxcan1f", False),
        ("let send", "vxcan1", "vxcan1f", {"send": "100"}),
        ("lead past the wire", "vxcan1f"),
        ("delete", "vxcan1f"),
        ("delete the wire of", "vcan0"),
    ),
    "a pair is repaired": (
        *_PAIR,
        ("delete", "vxcan1"),
        ("repair", "vxcan1", 1, "can0"),
        *_RULES,
        ("engine moves out", 1, "can0", "vxcan1p"),
    ),
    "a pair is repaired whose name is in use on the host": (
        *_PAIR,
        ("delete", "vxcan1"),
        ("somebody creates", "can0"),
        ("repair", "vxcan1", 1, "can0"),
    ),
    "a pair cannot be repaired": (
        *_PAIR,
        ("repair", "vxcan1", 1, "can0"),
        ("create pair", "vxcan2", "vxcan2p"),
        ("engine moves in", "vxcan2p", 1, "can1"),
        ("delete", "vxcan2"),
        ("repair", "vxcan2", 1, "can0"),
        ("repair", "vxcan2", 1, "can1"),
        ("delete", "vxcan2"),
        ("somebody creates", "vxcan2r"),
        ("repair", "vxcan2", 1, "can1"),
        ("somebody deletes", "vxcan2r"),
        ("repair", "vxcan2", 1, "can1"),
    ),
}

_SETTINGS = {"bitrate": 500_000, "restart_ms": 100, "txqueuelen": 50}

CASES |= {
    "an end is named": (
        ("create pair", "vxcan1", "vxcan1p"),
        ("name", "vxcan1p", "engine"),
        ("name", "vxcan1p", "engine"),
        ("create pair", "vxcan2", "vxcan2p"),
        ("name", "vxcan2p", "engine"),
        ("name", "vxcan2p", "vxcan1"),
        ("engine moves in", "vxcan1p", 1, "can0"),
        ("name", "vxcan2p", "engine"),
        ("name", "nobody", "engine"),
        ("delete", "vxcan2"),
        ("delete", "vxcan1"),
        ("repair", "vxcan1", 1, "can0", "engine"),
        ("delete", "vxcan1"),
        ("create pair", "vxcan3", "vxcan3p"),
        ("name", "vxcan3p", "engine"),
        ("repair", "vxcan1", 1, "can0", "engine"),
    ),
    "a controller": (
        ("somebody plugs", "can0"),
        ("bring up", "can0"),
        ("configure", "can0", _SETTINGS),
        ("somebody sets down", "can0"),
        ("bring up", "can0"),
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
    "a controller that rejects settings": (
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
            ("configure", "can0", {"bitrate": bitrate})
            for bitrate in (1_000_000, 800_000, 615_384, 100_000, 50_000, 33_333, 10_000, 5_000)
        ),
        *(
            ("configure", "can0", {"bitrate": 500_000, "sample_point": sample_point})
            for sample_point in (500, 666, 750, 900, 999)
        ),
        ("configure", "can0", {"bitrate": 4_000}),
    ),
    "a virtual bus is no controller": (
        ("create bus", "vcan0"),
        ("configure", "vcan0", {"bitrate": 500_000}),
    ),
    "rules to a controller": (
        ("somebody plugs", "can0"),
        ("configure", "can0", _SETTINGS),
        *_PAIR,
        (
            "add rules",
            ("vxcan1", "can0", ECHO, 1),
            ("vxcan1", "can0", FD, 1),
            ("can0", "vxcan1", FD, 1),
        ),
        ("somebody unplugs", "can0"),
    ),
}


class FakeOthers:
    """People and the engine on a fake kernel; implements ``conformance_runner.Others``."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def make(self, name: str) -> None:
        assert self._kernel.make(name) == 0

    def delete(self, name: str) -> None:
        self._kernel.delete(name)

    def set_down(self, name: str) -> None:
        assert self._kernel.set_flag(name, up=False) == 0

    def set_mtu(self, name: str, mtu: int) -> None:
        self._kernel.set_mtu(name, mtu)

    def flush_rules(self) -> None:
        self._kernel.flush_rules()

    def flush_filters(self, name: str) -> None:
        self._kernel.flush_filters(name)

    def set_queue(self, name: str) -> None:
        self._kernel.queues.set_queue(self._kernel.link(name).index)

    def remove_queue(self, name: str) -> None:
        link = self._kernel.link(name)
        if link.is_wire:
            self._kernel.wires.flush(link.index)
        else:
            self._kernel.queues.remove_queue(link.index)

    def take(self, name: str, sandbox: int, inside: str) -> None:
        self._kernel.move_in(name, sandbox, inside)

    def give_back(self, sandbox: int, inside: str, name: str) -> None:
        self._kernel.move_out(sandbox, inside, name)

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
        # The exit status of ip after a failure is 2.
        return 2 if self._kernel.configure_controller(name, settings) else 0


def run_on_fake(case: Case, *, mixes_duplicates: bool = True) -> list[dict[str, Any]]:
    """Run a case on a new fake kernel.

    Args:
        case: the case.
        mixes_duplicates: as of ``FakeQueues``.
    """
    kernel = FakeKernel()
    kernel.queues.mixes_duplicates = mixes_duplicates
    kernel.make("lo", "", up=True, is_can=False)
    return Runner(kernel, FakeOthers(kernel)).run(case)
