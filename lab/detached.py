"""The one lab that outlives its starter: boot once, test many times."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import image, recipe
from lab.machine import Machine
from lab.paths import cache
from lab.progress import note


def running() -> Machine | None:
    """The detached lab, whatever image it was booted from; None if none runs."""
    try:
        folder = Path(_pointer().read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    return Machine.attach(folder)


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
        if machine is not None:
            machine.stop()
        machine = Machine.boot(fresh, detached=True)
        _pointer().write_text(f"{machine.folder}\n", encoding="utf-8")
        return machine


def down() -> bool:
    """Switch the detached lab off; False if none ran."""
    with _lock():
        machine = running()
        if machine is not None:
            machine.stop()
        _pointer().unlink(missing_ok=True)
        return machine is not None


def _pointer() -> Path:
    return cache() / "up"


@contextmanager
def _lock() -> Iterator[None]:
    with (cache() / "up.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
