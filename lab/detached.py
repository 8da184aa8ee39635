"""The one lab that outlives its starter: boot once, test many times."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import image, recipe
from lab.machine import Machine
from lab.paths import cache
from lab.progress import note


def running() -> Machine | None:
    """The detached lab, whatever image it was booted from; None if none runs."""
    folder = _folder()
    return None if folder is None else Machine.attach(folder)


def current() -> Machine | None:
    """The detached lab if it was booted from the present recipe's image."""
    machine = running()
    return machine if machine is not None and is_current(machine) else None


def is_current(machine: Machine) -> bool:
    """Whether the machine was booted from the present recipe's image."""
    return machine.image.folder.name == recipe.key()


def up() -> Machine:
    """The detached lab; booted if none runs, replaced if its image is out of date."""
    with _lock():
        machine = running()
        if machine is not None:
            if is_current(machine):
                machine.wait_engine()
                return machine
            note("the running lab was booted from an older recipe: replacing it")
        # Built first: the old one serves until the new one can take its place.
        fresh = image.ensure()
        _clear(machine)
        # Noted as soon as it runs: whatever happens to this process while the
        # guest boots, `down` can find it.
        return Machine.boot(fresh, detached=True, on_start=_note)


def down() -> bool:
    """Switch the detached lab off; False if none ran."""
    with _lock():
        machine = running()
        _clear(machine)
        return machine is not None


@contextmanager
def reserved(machine: Machine) -> Iterator[bool]:
    """Reserve the lab for one user; yields False if another process has it."""
    with (machine.folder / "in-use").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _clear(machine: Machine | None) -> None:
    """Stop the machine, or remove what one that died by itself left behind."""
    folder = _folder()
    if machine is not None:
        machine.stop()
    elif folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    _pointer().unlink(missing_ok=True)


def _note(folder: Path) -> None:
    _pointer().write_text(f"{folder}\n", encoding="utf-8")


def _folder() -> Path | None:
    try:
        return Path(_pointer().read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def _pointer() -> Path:
    return cache() / "up"


@contextmanager
def _lock() -> Iterator[None]:
    with (cache() / "up.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
