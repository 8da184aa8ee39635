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
from lab.qemu import PLATFORMS, Accel
from tools.common.architecture import Architecture
from tools.common.programs import find_program
from tools.foreign import is_native

VARIABLE: Final = "EVERCAN_LAB_ACCEL"
"""Environment variable that forces `kvm` or `tcg`."""


def candidates(architecture: Architecture) -> list[Accel]:
    """Return the accelerators to try, in order; the last one always works.

    Args:
        architecture: The guest's. KVM runs only guests of the machine's own.

    Raises:
        LabError: The environment names an accelerator that does not exist or cannot be used.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced == "kvm":
        if not is_native(architecture):
            raise LabError(
                f"{VARIABLE}=kvm: on this machine KVM does not run a guest of {architecture}",
                f"unset {VARIABLE}, or use a machine of {architecture}",
            )
        return ["kvm"]
    if forced == "tcg":
        return ["tcg"]
    if forced:
        raise LabError(f"{VARIABLE}={forced} is neither kvm nor tcg", f"unset {VARIABLE}")
    if not is_native(architecture) or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["tcg"]
    return ["tcg"] if _kvm_worked(architecture) is False else ["kvm", "tcg"]


def _kvm_worked(architecture: Architecture) -> bool | None:
    """Return whether KVM booted a guest on this machine; None if it was never tried."""
    result = _read().get(_machine(architecture))
    return result if isinstance(result, bool) else None


def remember(architecture: Architecture, *, works: bool) -> None:
    """Keep the result of a boot with KVM."""
    path = _file()
    new = path.with_name(f"{path.name}.{os.getpid()}")
    results = _read() | {_machine(architecture): works}
    new.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _file() -> Path:
    return lab_cache() / "kvm.json"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _machine(architecture: Architecture) -> str:
    """Return the kernel, the processor and the QEMU of this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), "?"
    )
    qemu = subprocess.run(
        [find_program(PLATFORMS[architecture].program), "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[0]
    return f"{platform.release()} / {processor} / {qemu}"
