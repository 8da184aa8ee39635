"""The detached labs: they keep running when the command that started them ends.

There is one for each guest: each combination of release and architecture.
"""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from lab import image
from lab.machine import Machine
from lab.paths import lab_cache
from lab.recipe import ALL, Recipe
from tools.common.locks import locked, locked_if_free
from tools.common.progress import report


def running(recipe: Recipe) -> Machine | None:
    """Return the detached lab of a guest, whatever image it was booted from; None if none runs."""
    folder = _folder(recipe)
    return None if folder is None else Machine.attach(folder)


def all_running() -> list[Machine]:
    """Return the detached labs of all guests."""
    return [machine for recipe in ALL if (machine := running(recipe)) is not None]


def current(recipe: Recipe) -> Machine | None:
    """Return the detached lab of a guest if it was booted from the current image."""
    machine = running(recipe)
    return machine if machine is not None and machine.image.is_current else None


def up(recipe: Recipe) -> Machine:
    """Return the detached lab of a guest; boot it if none runs, replace it if it is out of date."""
    with _lock(recipe):
        machine = running(recipe)
        if machine is not None:
            if machine.image.is_current:
                machine.wait_engine()
                return machine
            report("the running lab was booted from an older image: replacing it")
        # Built first: the old lab runs until the new one can replace it.
        new_image = image.ensure(recipe)
        _clear(recipe, machine)

        def write_folder(folder: Path) -> None:
            _pointer(recipe).write_text(f"{folder}\n", encoding="utf-8")

        # Its folder is written down as soon as it runs, so that `down` finds it even if this
        # process is killed while the guest boots.
        return Machine.boot(new_image, detached=True, on_start=write_folder)


def down(recipe: Recipe) -> bool:
    """Stop the detached lab of a guest; return False if none ran."""
    with _lock(recipe):
        machine = running(recipe)
        _clear(recipe, machine)
        return machine is not None


def reserved(machine: Machine) -> AbstractContextManager[bool]:
    """Reserve the lab for one user; yield False if another process has reserved it."""
    return locked_if_free(machine.folder / "in-use")


def _clear(recipe: Recipe, machine: Machine | None) -> None:
    """Stop the machine, or remove the files of one that stopped unexpectedly."""
    folder = _folder(recipe)
    if machine is not None:
        machine.stop()
    elif folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    _pointer(recipe).unlink(missing_ok=True)


def _folder(recipe: Recipe) -> Path | None:
    try:
        return Path(_pointer(recipe).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def _pointer(recipe: Recipe) -> Path:
    """Return the file that contains the run folder of a guest's detached lab."""
    return lab_cache() / f"up-{recipe.name}"


def _lock(recipe: Recipe) -> AbstractContextManager[object]:
    path = lab_cache() / f"up-{recipe.name}.lock"
    return locked(path, f"starting or stopping the detached lab {recipe.name}")
