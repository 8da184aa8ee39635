"""The detached lab: it keeps running when the command that started it ends."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from lab import image, recipe
from lab.machine import Machine
from lab.paths import lab_cache
from tools.common.locks import locked, locked_if_free
from tools.common.progress import report


def running() -> Machine | None:
    """Return the detached lab, whatever image it was booted from; None if none runs."""
    folder = _folder()
    return None if folder is None else Machine.attach(folder)


def current() -> Machine | None:
    """Return the detached lab if it was booted from the current recipe's image."""
    machine = running()
    return machine if machine is not None and is_current(machine) else None


def is_current(machine: Machine) -> bool:
    """Return whether the machine was booted from the current recipe's image."""
    return machine.image.folder.name == recipe.key()


def up() -> Machine:
    """Return the detached lab; boot it if none runs, replace it if its image is out of date."""
    with _lock():
        machine = running()
        if machine is not None:
            if is_current(machine):
                machine.wait_engine()
                return machine
            report("the running lab was booted from an older image: replacing it")
        # Built first: the old lab runs until the new one can replace it.
        new_image = image.ensure()
        _clear(machine)
        # Its folder is written down as soon as it runs, so that `down` finds it even if this
        # process is killed while the guest boots.
        return Machine.boot(new_image, detached=True, on_start=_write_folder)


def down() -> bool:
    """Stop the detached lab; return False if none ran."""
    with _lock():
        machine = running()
        _clear(machine)
        return machine is not None


def reserved(machine: Machine) -> AbstractContextManager[bool]:
    """Reserve the lab for one user; yield False if another process has reserved it."""
    return locked_if_free(machine.folder / "in-use")


def _clear(machine: Machine | None) -> None:
    """Stop the machine, or remove the files of one that stopped unexpectedly."""
    folder = _folder()
    if machine is not None:
        machine.stop()
    elif folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    _pointer().unlink(missing_ok=True)


def _write_folder(folder: Path) -> None:
    _pointer().write_text(f"{folder}\n", encoding="utf-8")


def _folder() -> Path | None:
    try:
        return Path(_pointer().read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def _pointer() -> Path:
    """Return the file that contains the run folder of the detached lab."""
    return lab_cache() / "up"


def _lock() -> AbstractContextManager[object]:
    return locked(lab_cache() / "up.lock", "starting or stopping the detached lab")
