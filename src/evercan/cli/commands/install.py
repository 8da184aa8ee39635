"""``evercan install`` and ``uninstall``: run ``install.sh``, which is in the package."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from evercan.cli.errors import CliError

SCRIPTS = (
    Path(__file__).parents[1] / "install.sh",  # as the wheel has it
    Path(__file__).parents[4] / "install.sh",  # in a checkout
)


def run(engine: str, options: Mapping[str, str | bool | None]) -> NoReturn:
    """Replace this process by the script, so that signals reach it and it can restore everything.

    Args:
        engine: a DOCKER_HOST value; empty for the environment's.
        options: the script's options without ``--``: their value, or whether they are given.

    Raises:
        CliError: there is no script or no shell.
    """
    script = next((path for path in SCRIPTS if path.is_file()), None)
    if script is None:
        raise CliError("this package has no install.sh", "install evercan[cli] from its wheel")
    words = []
    for name, value in options.items():
        if value:
            words += [f"--{name}"] if value is True else [f"--{name}", value]
    environment = {**os.environ, **({"DOCKER_HOST": engine} if engine else {})}
    sys.stdout.flush()
    try:
        os.execve("/bin/sh", ["sh", str(script), *words], environment)  # noqa: S606 - our script
    except OSError as error:
        raise CliError(
            f"cannot run /bin/sh: {error.strerror}", "run install.sh yourself"
        ) from error
