"""examples/python-can on a testbed: its image, and its containers as compose brings them up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.compose import Project
from lab.testbed import Testbed
from tools import wheels
from tools.common.architecture import Architecture
from tools.common.checkout import ROOT
from tools.images import ProjectImage

FOLDER = ROOT / "examples/python-can"
DATABASE = str(FOLDER / "powertrain.dbc")
_FILES = tuple(sorted(path for path in FOLDER.iterdir() if path.suffix != ".md"))


def _fill(context: Path, architecture: Architecture) -> None:
    for file in _FILES:
        if file.is_file():
            shutil.copy(file, context)
    requirements = FOLDER / "requirements.txt"
    shutil.copytree(wheels.fetch(architecture, requirements), context / "wheels")


IMAGE = ProjectImage(
    "evercan/python-can-ecu:latest",
    FOLDER / "Dockerfile",
    tuple((path.name, path) for path in _FILES if path.is_file()),
    _fill,
    # A build has no package index here.
    lambda: {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"},
)
"""The image of both ECUs, from the example's own Dockerfile."""


@contextmanager
def python_can_project(testbed: Testbed) -> Iterator[Project]:
    """Yield the example, which is brought up, and remove it afterwards."""
    IMAGE.load(testbed.client(), testbed.docker_host)
    # Compose's own name for it, after the folder; the pages and the notebook have it.
    project = Project(testbed, FOLDER / "compose.yaml", FOLDER.name)
    assert project.by_compose, "the lab has Debian's docker-compose"
    try:
        project.up()
        yield project
    finally:
        project.down()
