"""Runs the end-to-end tests on each guest of the lab, and writes the table in ``docs/tested.md``.

``python -m lab.matrix`` replaces only the rows of what it runs, after each suite, so a run may
be interrupted. The status is 1 if anything falls short.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from lab import detached, recipe, testbed
from lab.errors import exit_status
from lab.recipe import MATRIX, RELEASES, named
from lab.tested_table import Outcome, Row, outcome, updated
from tools.common.architecture import of_engine
from tools.common.checkout import ROOT
from tools.common.docker_engine import connect
from tools.common.progress import report

PAGE: Final = ROOT / "docs/tested.md"

SUITES: Final = {
    "main-job": ("test_main_job.py",),
    "kernel": ("test_conformance.py", "test_protocols.py"),
    "faults": (
        "test_faults.py",
        "test_can_gw_reload.py",
        "test_ending_namespaces.py",
        "test_full_disk.py",
        "test_host_interfaces.py",
        "test_late_can_gw.py",
    ),
    "engine-life": (
        "test_engine_life.py",
        "test_connect.py",
        "test_hung_plugin.py",
        "test_sidecar.py",
        "test_swarm.py",
        "test_userns_remap.py",
    ),
    "access": ("test_access.py", "test_access_lists.py", "test_fault_injection.py"),
    "bitrates": ("test_wires.py",),
    "controllers-pci": ("test_controllers.py", "test_fault_controllers.py"),
    "controllers-usb": ("test_usb_adapters.py", "test_usb_names.py"),
    "power-cuts": ("test_power_cuts.py",),
    "adoption": ("test_adopt.py",),
    "installation": ("test_installer.py",),
}
"""The files of each suite, in ``tests/e2e``."""

ENGINE: Final = "engine"
"""The name of the place that is not a guest of the lab: the engine that DOCKER_HOST names, or
this machine's own."""

_SUITE_TIMEOUT_S: Final = 3 * 3600.0


class Place(NamedTuple):
    """Where tests run.

    Attributes:
        environment: The variables that choose it.
        release: What the table calls it.
        engine: Its Docker engine's version.
        kernel: Its kernel's release.
        architecture: Its architecture.
    """

    environment: dict[str, str]
    release: str
    engine: str
    kernel: str
    architecture: str


def files(suite: str) -> list[Path]:
    """Return the files of a suite, relative to the checkout."""
    return [Path("tests/e2e", name) for name in SUITES[suite]]


def run(places: Sequence[str], suites: Sequence[str], *, thorough: bool = True) -> bool:
    """Run suites in some places and write the page; return whether everything passes.

    Args:
        places: Names of guests, or `ENGINE`.
        suites: Names in `SUITES`.
        thorough: Whether tests marked `thorough` run too; rows without them say so.

    Raises:
        ToolError: A guest cannot be built or does not boot.
    """
    good, commit = True, _commit()
    for name in places:
        with _place(name) as place:
            for suite in suites:
                started = time.monotonic()
                result = _run_suite(place, suite, thorough=thorough)
                minutes = (time.monotonic() - started) / 60
                row = Row(
                    release=place.release,
                    engine=place.engine,
                    kernel=place.kernel,
                    architecture=place.architecture,
                    suite=suite,
                    result=result.text,
                    minutes=f"{minutes:.1f}",
                    date=datetime.now(UTC).strftime("%Y-%m-%d"),
                    commit=commit,
                )
                text = PAGE.read_text(encoding="utf-8")
                text = updated(text, [row], tuple(RELEASES), tuple(SUITES))
                PAGE.write_text(text, encoding="utf-8")
                report(f"{name}: {suite}: {result.text}")
                good = good and result.ok
    return good


@contextmanager
def _place(name: str) -> Iterator[Place]:
    """Yield a place in which its engine runs; stop a lab that was started for it."""
    if name == ENGINE:
        with closing(connect()) as client:
            system = str(client.info()["OperatingSystem"])
        yield _described({testbed.VARIABLE: "engine"}, system, None)
        return
    guest = named(name)
    was_running = detached.current(guest) is not None
    machine = detached.up(guest)
    try:
        environment = {testbed.VARIABLE: "lab", recipe.VARIABLE: guest.name}
        yield _described(environment, guest.release, machine.docker_host)
    finally:
        if not was_running:
            detached.down(guest)


def _described(environment: dict[str, str], release: str, docker_host: str | None) -> Place:
    with closing(connect(docker_host)) as client:
        about = client.info()
        return Place(
            environment,
            release,
            str(about["ServerVersion"]),
            str(about["KernelVersion"]),
            of_engine(client),
        )


def _run_suite(place: Place, suite: str, *, thorough: bool) -> Outcome:
    report(f"{place.release} {place.architecture}: running {suite}")
    other = recipe.VARIABLE if place.environment[testbed.VARIABLE] == "engine" else "DOCKER_HOST"
    environment = {name: value for name, value in os.environ.items() if name != other}
    environment |= place.environment
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.xml")
        paths = map(str, files(suite))
        # Tests record what they measured; only this format of the report takes it.
        options = [f"--junitxml={file}", "-o", "junit_family=xunit1"]
        options += [] if thorough else ["-m", "not thorough"]
        command = [sys.executable, "-m", "pytest", "-q", *options, *paths]
        try:
            status = subprocess.run(
                command, cwd=ROOT, env=environment, check=False, timeout=_SUITE_TIMEOUT_S
            ).returncode
        except subprocess.TimeoutExpired:
            return Outcome(f"**stopped** after {_SUITE_TIMEOUT_S / 60:.0f} minutes", ok=False)
        if not file.exists():
            return Outcome(f"**not run**: pytest ended with status {status}", ok=False)
        result = outcome(file.read_text(encoding="utf-8"))
        return result if thorough else replace(result, text=f"{result.text} (not thorough)")


def _commit() -> str:
    """Return the short name of the checkout's commit, with a `+` if more than the page changed."""
    name = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", f":(exclude){PAGE.relative_to(ROOT)}")
    return f"{name}+" if changed else name or "unknown"


def _git(*words: str) -> str:
    # The checkout may belong to another user than root.
    command = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.matrix", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="GUEST",
        default=MATRIX,
        help=f"guests of the lab, or {ENGINE}: DOCKER_HOST's engine or this machine's own; "
        f"default: {' '.join(MATRIX)}",
    )
    parser.add_argument(
        "--suites",
        nargs="+",
        metavar="SUITE",
        choices=SUITES,
        default=tuple(SUITES),
        help=f"default: {' '.join(SUITES)}",
    )
    parser.add_argument(
        "--no-thorough",
        action="store_true",
        help="leave out the tests marked thorough, as `make test` does",
    )
    arguments = parser.parse_args(argv)

    def run_all() -> int:
        for name in arguments.only:
            if name != ENGINE:
                named(name)
        good = run(arguments.only, arguments.suites, thorough=not arguments.no_thorough)
        return 0 if good else 1

    return exit_status(run_all)


if __name__ == "__main__":
    sys.exit(main())
