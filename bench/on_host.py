"""Measures on a testbed's host: sends ``host_tasks`` there and reads their results."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import frame_figures, member_figures
from bench.figures import WIRE, Figure
from lab.errors import UnreachableError
from lab.testbed import Testbed, choose
from tools import install, plugin
from tools.common.progress import report

HERE = Path(__file__).parent
_ROOT = "ls -d /var/lib/docker/plugins/*/rootfs | head -n 1"
_RUN = """
archive=$(mktemp) && cat > "$archive" || exit
PYTHONPATH="$archive" unshare --net --mount python3 -m bench.host_tasks "$@"
code=$?; rm "$archive"; exit $code"""
_HOUR = 3600.0
_RETRIES = 3


_BURST = 200
"""Frames of a burst: a socket holds them all, whatever the size of its buffer."""


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """How much is measured.

    Attributes:
        at: the numbers of members whose start and stop are measured, ascending.
        large: the numbers of members at which memory is measured, ascending.
        by_process: for how many rules of a member one process is started.
        idle: seconds in which the idle daemon is watched.
        foreign: interfaces of others, and their rules.
        together: containers that start at once.
        times: repetitions.
        sizes: numbers of members of the buses on which the cost of a frame is measured.
        frames: how many frames are sent for it.
        lossy: the same numbers for losses.
        rates: frames per second for these.
        delayed: numbers of members for delays.
        delays: how many frames are sent for these.
        ordered: how many frames are sent under load.
        lists: how many ids the lists of limited senders have.
        bursts: how many bursts of 200 frames each of them sends.
        bitrates: those of virtual buses that are as slow as a wire.
        on_wire: how many frames are sent on each.
    """

    at: tuple[int, ...] = (2, 10, 30, 100)
    large: tuple[int, ...] = (100, 200, 300)
    by_process: int = 120
    idle: float = 180.0
    foreign: tuple[int, int] = (500, 2000)
    together: int = 30
    times: int = 10
    sizes: tuple[int, ...] = (2, 5, 10, 20, 35, 50)
    frames: int = 300
    lossy: tuple[int, ...] = (2, 10, 30)
    rates: tuple[int, ...] = (500, 1000, 2000, 4000, WIRE)
    delayed: tuple[int, ...] = (2, 10, 30)
    delays: int = 5000
    ordered: int = 20_000
    lists: tuple[int, ...] = (1, 50, 500)
    bursts: int = 50
    bitrates: tuple[int, ...] = (50_000, 125_000, 500_000, 1_000_000)
    on_wire: int = 1000


QUICK = _Extent(
    at=(2, 4), large=(3, 5), by_process=20, idle=3.0, foreign=(20, 50), together=3, times=1,
    sizes=(2, 5), frames=50, lossy=(2,), rates=(500,), delayed=(2,), delays=50, ordered=1000,
    lists=(1, 3), bursts=2, bitrates=(50_000,), on_wire=50,
)  # fmt: skip


class Host:
    """A testbed's host with the plugin's root file system."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed, self._root = testbed, ""
        self._prepare()

    def _prepare(self) -> None:
        testbed = self._testbed
        plugin.build_for(testbed.docker_host)
        install.install(testbed.docker_host)
        testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
        self._root = testbed.host("sh", "-c", _ROOT).stdout.decode().strip()

    def run(self, task: str, **arguments: Any) -> Any:
        """Run one of ``host_tasks`` in namespaces of its own; return its result.

        Raises:
            TestbedError: It failed, or the machine crashed each time. An emulated machine
                sometimes crashes and boots again, above all under full load.
        """
        for _ in range(_RETRIES):
            try:
                return self._run(task, arguments)
            except UnreachableError as error:
                report(f"running {task} again: {error.text}")
                self._testbed.wait_engine()
                self._prepare()
        return self._run(task, arguments)

    def _run(self, task: str, arguments: Mapping[str, Any]) -> Any:
        done = self._testbed.host(
            "sh", "-c", _RUN, "host_tasks", self._root, json.dumps([{"task": task, **arguments}]),
            stdin=_archive(), timeout=_HOUR,
        )  # fmt: skip
        return json.loads(done.stdout)


def wires(quick: bool) -> list[Figure]:
    """Measure the time that frames take on virtual buses with a bitrate."""
    extent = QUICK if quick else _Extent()
    with choose() as testbed:
        taken = Host(testbed).run(
            "wires", bitrates=extent.bitrates, payloads=list(frame_figures.PAYLOADS),
            frames=extent.on_wire, times=(extent.times + 2) // 3,
        )  # fmt: skip
        where = testbed.name
    return [replace(figure, where=where) for figure in frame_figures.wires(taken, extent.on_wire)]


def _archive() -> bytes:
    """Pack ``host_tasks`` so that an interpreter can import it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in (HERE / "__init__.py", *sorted((HERE / "host_tasks").glob("*.py"))):
            archive.write(file, file.relative_to(HERE.parent))
    return packed.getvalue()


def members(quick: bool) -> list[Figure]:
    """Measure containers that start and stop, alone and at once, and a large bus."""
    extent = QUICK if quick else _Extent()
    many = extent.large[-1]
    with choose() as testbed:
        host = Host(testbed)
        by_process = host.run("joins_by_process", at=[*extent.at, many], sample=extent.by_process)
        joined = host.run("joins", members=extent.at[-1], idle=extent.idle)
        large = host.run("large_bus", sizes=extent.large)
        links, rules = extent.foreign
        foreign = host.run(
            "among_foreign", members=extent.at[-2], links=links, rules=rules, times=extent.times
        )
        together = host.run("at_once", members=extent.together, times=(extent.times + 1) // 2)
        flushed = host.run("flushes", members=extent.at[-2], times=extent.times)
        where = testbed.name
    last = by_process[str(many)]
    figures = [
        *member_figures.starts_and_stops(joined, by_process, extent.at),
        *member_figures.starts_and_stops(large, by_process, [many]),
        *member_figures.against_second(joined),
        member_figures.at_once(together, extent.together),
        *member_figures.among_foreign(foreign, f"{links} links and {rules:,} rules"),
        member_figures.restore(joined, last, 1 / 400),
        member_figures.restore(large, last, None),
        member_figures.flushes(flushed, extent.at[-2]),
        *member_figures.large_bus(large),
        *member_figures.idle(joined),
    ]
    return [replace(figure, where=where) for figure in figures]


def frames(quick: bool) -> list[Figure]:
    """Measure what a frame costs, its delay, where frames are lost, their order, and limits."""
    extent = QUICK if quick else _Extent()
    with choose() as testbed:
        host = Host(testbed)
        flooded = host.run(
            "frames", sizes=extent.sizes, number=extent.frames, times=(extent.times + 1) // 2
        )
        lost = host.run("losses", sizes=extent.lossy, rates=extent.rates)
        delayed = host.run("delays", sizes=extent.delayed, number=extent.delays)
        ordered = host.run("order", members=extent.delayed[-1], frames=extent.ordered)
        limited = host.run("limits", lists=extent.lists, frames=_BURST, times=extent.bursts)
        where = testbed.name
    figures = [
        *frame_figures.floods(flooded),
        *frame_figures.delays(delayed),
        *frame_figures.losses(lost),
        *frame_figures.order(ordered),
        *frame_figures.limits(limited),
    ]
    return [replace(figure, where=where) for figure in figures]
