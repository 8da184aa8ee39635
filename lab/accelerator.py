"""Which accelerator truly boots the guest on this machine.

The device /dev/kvm may be there and yet crash a stock kernel, so what counts is
a boot that came up; the verdict is kept per kernel, processor and QEMU.
"""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.paths import cache, tool
from lab.qemu import Accel

VARIABLE: Final = "EVERCAN_LAB_ACCEL"
"""Environment variable that forces `kvm` or `tcg`."""


def candidates() -> list[Accel]:
    """Accelerators to try in turn; the last is the one that always works.

    Raises:
        LabError: The environment asks for one that does not exist.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced == "kvm":
        return ["kvm"]
    if forced == "tcg":
        return ["tcg"]
    if forced:
        raise LabError(f"{VARIABLE}={forced} is neither kvm nor tcg", f"unset {VARIABLE}")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["tcg"]
    return ["tcg"] if verdict() is False else ["kvm", "tcg"]


def verdict() -> bool | None:
    """Whether KVM booted a guest here before; None if it was never tried."""
    said = _read().get(_machine())
    return said if isinstance(said, bool) else None


def remember(works: bool) -> None:
    """Keep the outcome of a boot with KVM."""
    path = _file()
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(_read() | {_machine(): works}, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def _file() -> Path:
    return cache() / "kvm.json"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next((li.partition(":")[2].strip() for li in lines if "model name" in li), "?")
    qemu = subprocess.run(
        [tool("qemu-system-x86_64"), "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    return f"{platform.release()} / {processor} / {qemu}"
