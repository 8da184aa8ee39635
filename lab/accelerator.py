"""Which accelerator boots the guest on this machine: KVM or emulation.

Where /dev/kvm exists, a stock kernel may still crash under it. So only a completed boot counts;
the result is kept for each combination of kernel, processor and QEMU.
"""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.paths import lab_cache
from lab.qemu import Accel
from tools.common.programs import find_program

VARIABLE: Final = "EVERCAN_LAB_ACCEL"
"""Environment variable that forces `kvm` or `tcg`."""


def candidates() -> list[Accel]:
    """Return the accelerators to try, in order; the last one always works.

    Raises:
        LabError: The environment names an accelerator that does not exist.
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
    return ["tcg"] if kvm_worked() is False else ["kvm", "tcg"]


def kvm_worked() -> bool | None:
    """Return whether KVM booted a guest on this machine; None if it was never tried."""
    result = _read().get(_machine())
    return result if isinstance(result, bool) else None


def remember(*, works: bool) -> None:
    """Keep the result of a boot with KVM."""
    path = _file()
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(_read() | {_machine(): works}, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _file() -> Path:
    return lab_cache() / "kvm.json"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _machine() -> str:
    """Return the kernel, the processor and the QEMU of this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), "?"
    )
    qemu = subprocess.run(
        [find_program("qemu-system-x86_64"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[0]
    return f"{platform.release()} / {processor} / {qemu}"
