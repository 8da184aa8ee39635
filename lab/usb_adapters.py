"""USB CAN adapters at a testbed's host, played by `lab.usb_can` and taken by its kernel."""

import io
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab import usb_can
from lab.errors import TestbedError
from tools.common.polling import wait_until

if TYPE_CHECKING:
    from lab.testbed import Testbed

MODULES: Final = ("vhci-hcd", "gs_usb", "ucan")
"""Kernel modules that the host must have: the virtual host controller, and the drivers."""

_PROGRAM: Final = "/run/evercan-usb-can.pyz"
_GO_S: Final = 30.0
_READY: Final = b"ready"


def missing_modules(testbed: "Testbed") -> list[str]:
    """Load the modules; return those that the host's kernel does not have."""
    return [
        module
        for module in MODULES
        if testbed.host("modprobe", module, check=False).returncode != 0
    ]


def zipped() -> bytes:
    """Pack `lab.usb_can` as a program for one ``python3``."""
    packed = io.BytesIO()
    source = Path(usb_can.__file__).parent
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("lab/__init__.py", "")
        for file in sorted(source.glob("*.py")):
            archive.writestr(f"lab/usb_can/{file.name}", file.read_bytes())
        archive.writestr(
            "__main__.py", "import sys\nfrom lab.usb_can.__main__ import main\nsys.exit(main())\n"
        )
    return packed.getvalue()


class UsbAdapters:
    """Adapters on one wire; none is plugged in at first. ``close`` takes all of them away."""

    def __init__(self, testbed: "Testbed", models: Mapping[str, str]) -> None:
        """Start to play them.

        Args:
            testbed: Its host gets the adapters.
            models: The kind of each adapter by serial number (`lab.usb_can.service.MODELS`).

        Raises:
            TestbedError: They cannot be played there.
        """
        self._testbed = testbed
        self._serials = tuple(models)
        testbed.host("sh", "-c", f"cat > {_PROGRAM}", stdin=zipped())
        words = [f"{serial}={model}" for serial, model in models.items()]
        self._process: subprocess.Popen[bytes] = testbed.host_process(
            "python3", _PROGRAM, "serve", *words
        )
        assert self._process.stdout is not None  # noqa: S101 - the testbed pipes it
        if self._process.stdout.readline().strip() != _READY:
            self._process.terminate()
            errors = self._process.communicate()[1].decode(errors="replace").strip()
            raise TestbedError(
                f"cannot play USB adapters on {testbed.name}: {errors}",
                "see whether python3 runs there as root",
            )

    def plug(self, serial: str) -> str:
        """Plug an adapter in; return its interface, which has the lowest free name ``canN``.

        Raises:
            TestbedError: It is plugged in, or the kernel makes no interface for it.
        """
        return self._run("plug", serial)

    def unplug(self, serial: str) -> None:
        """Pull an adapter out; return when its interface is gone.

        Raises:
            TestbedError: It is not plugged in.
        """
        self._run("unplug", serial)

    def say(self, serial: str, state: str, *counters: int) -> None:
        """Let an adapter report an error state: ``active``, ``warning``, ``passive``, ``bus-off``.

        Args:
            serial: The adapter.
            state: The state.
            counters: Error counters of transmission and reception.
        """
        self._run("say", serial, state, *map(str, counters))

    def interface(self, serial: str) -> str:
        """Return the name of an adapter's interface; empty if there is none."""
        return self._run("interface", serial)

    def close(self) -> None:
        """Pull all adapters out; return when their interfaces are gone."""
        self._process.terminate()
        self._process.communicate()
        wait_until(lambda: not any(map(self.interface, self._serials)), _GO_S, "the adapters to go")

    def _run(self, *words: str) -> str:
        done = self._testbed.host("python3", _PROGRAM, *words)
        return done.stdout.decode().strip()
