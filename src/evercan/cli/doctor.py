"""``evercan doctor``: everything that keeps a bus from being well, looked for in one go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evercan.cli import checks, facts, show
from evercan.cli.checks import Check, Result
from evercan.cli.engine import Engine, Network, Plugin
from evercan.cli.errors import CliError
from evercan.cli.host import Host, ThisHost
from evercan.cli.overview import overview
from evercan.cli.reach import Wish, socket_of, way_to

_SIGN = {Result.OK: "●", Result.WARN: "▲", Result.FAIL: "✖", Result.SKIPPED: "○"}
_STYLE = {
    Result.OK: "green",
    Result.WARN: "yellow",
    Result.FAIL: "bold red",
    Result.SKIPPED: "dim",
}
_STATES = ("created", "exited")
"""States of a container that may have failed to start."""


def doctor(wish: Wish, *, as_json: bool, strict: bool) -> int:
    """Look, report, and return the exit status: 1 if something fails."""
    found = examine(wish)
    bad = {Result.FAIL, Result.WARN} if strict else {Result.FAIL}
    status = int(any(each.result in bad for each in found))
    if as_json:
        show.as_json(document(found))
    else:
        show.console().print(page(found))
    return status


def document(found: Sequence[Check]) -> dict[str, Any]:
    """Write checks for machines."""
    worst = max((list(Result).index(each.result) for each in found), default=0)
    return {"schema": 1, "verdict": list(Result)[worst], "checks": [asdict(each) for each in found]}


def page(found: Sequence[Check]) -> RenderableType:
    """Write checks for people, and the verdict in a sentence."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for each in found:
        style = _STYLE[each.result]
        text = Text(each.text, style="dim" if each.result is Result.SKIPPED else "")
        if each.remedy:
            text.append(f"\n→ {each.remedy}", style="cyan")
        sign = Text(f"{_SIGN[each.result]} {each.result:<7}", style=style)
        table.add_row(sign, Text(each.title), text)
    return Group(table, Text(), _sentence(found))


def _sentence(found: Sequence[Check]) -> Text:
    number = {result: sum(each.result is result for each in found) for result in Result}
    if number[Result.FAIL]:
        words = "Something fails: do what the arrows say, from the top, and run this again."
        return Text(words, style="bold red")
    if number[Result.WARN]:
        return Text("The buses can work; the arrows say what to look after.", style="yellow")
    if number[Result.SKIPPED]:
        return Text("What could be looked at is well.", style="green")
    return Text("All is well.", style="green")


def examine(wish: Wish) -> list[Check]:
    """Look at everything that can be looked at."""
    with ExitStack() as stack:
        try:
            engine = Engine(wish.engine)
        except CliError as error:
            return [*_without_engine(wish, str(error))]
        stack.callback(engine.close)
        return [*_Examination(engine, wish, stack).checks()]


def _without_engine(wish: Wish, reason: str) -> Iterator[Check]:
    """The host that we are on may be the one that is meant, unless another is named."""
    here = (wish.engine or os.environ.get("DOCKER_HOST") or "unix:").startswith("unix:")
    if here:
        yield from _host(ThisHost())
    else:
        yield Check("host", "kernel", Result.SKIPPED, "the engine's host is not reached")
    yield _told("engine.reachable", "Docker engine", reason)
    for identity, title in (("plugin", "plugin"), ("networks", "networks")):
        yield Check(identity, title, Result.SKIPPED, "no engine that could be asked")


def _told(identity: str, title: str, sentence: str) -> Check:
    """Make a failed check of an error's sentence: what is wrong, then what to do."""
    text, _, remedy = sentence.partition("; ")
    return Check(identity, title, Result.FAIL, text, remedy)


def _host(host: Host) -> Iterator[Check]:
    try:
        yield from checks.host_checks(facts.look(host))
    except CliError as error:
        yield Check("host", "kernel", Result.SKIPPED, str(error))


class _Examination:
    """One look at an engine that answers."""

    def __init__(self, engine: Engine, wish: Wish, stack: ExitStack) -> None:
        self._engine, self._wish, self._stack = engine, wish, stack

    def checks(self) -> Iterator[Check]:
        host = None
        try:
            host = way_to(self._engine, self._wish, files=True)
            self._stack.callback(host.close)
        except CliError as error:
            text, _, remedy = str(error).partition("; ")
            yield Check("host", "kernel", Result.SKIPPED, text, remedy)
        else:
            yield from _host(host)
        try:
            yield from self._of_engine(host)
        except CliError as error:
            yield _told("engine.reachable", "Docker engine", str(error))

    def _of_engine(self, host: Host | None) -> Iterator[Check]:
        about = self._engine.info()
        yield checks.engine_check(str(about.get("ServerVersion") or ""))
        plugins = self._engine.plugins()
        yield from checks.plugin_checks(plugins, self._wish.plugin)
        networks: list[Network] = []
        for each in plugins:
            if self._wish.plugin in (None, each.name, each.name.removesuffix(":latest")):
                own = self._engine.networks(each.name)
                networks += own
                yield from self._of_plugin(each, own, host, str(about.get("DockerRootDir") or ""))
        yield checks.pool_check(networks)
        gateway = self._engine.ask(self._engine.api.inspect_network, "docker_gwbridge") or {}
        yield checks.gateway_check(networks, gateway.get("Containers") or {})
        yield from checks.refusal_checks(self._refused(networks))

    def _of_plugin(
        self, plugin: Plugin, networks: Sequence[Network], host: Host | None, data_root: str
    ) -> Iterator[Check]:
        if host is None:
            yield Check("plugin.reachable", "plugin's socket", Result.SKIPPED, "no way to its host")
            return
        if plugin.enabled:
            yield from self._answers(plugin, networks, host)
        else:
            yield Check(
                "plugin.reachable", "plugin's socket", Result.SKIPPED, f"{plugin.name} is disabled"
            )
        try:
            record = facts.record(host, data_root, plugin.id)
        except CliError as error:
            yield Check("plugin.record", "state file", Result.SKIPPED, str(error))
        else:
            yield checks.record_check(plugin, record, networks)

    def _answers(self, plugin: Plugin, networks: Sequence[Network], host: Host) -> Iterator[Check]:
        try:
            status = socket_of(plugin, host, self._wish).get("/status")
        except CliError as error:
            yield _told("plugin.reachable", "plugin's socket", str(error))
            return
        seen = overview(plugin.name, networks, status)
        told = " ".join(filter(None, ("answers", f"({seen.version})" if seen.version else "")))
        yield Check("plugin.reachable", "plugin's socket", Result.OK, told)
        if seen.recovery == "fail-fast":
            yield Check(
                "plugin.recovery",
                "recovery",
                Result.WARN,
                "EVERCAN_RECOVERY=fail-fast: what breaks is told and stays broken",
                f"docker plugin disable -f {plugin.name} && docker plugin set {plugin.name} "
                f"EVERCAN_RECOVERY=auto && docker plugin enable {plugin.name}",
            )
        yield from checks.health_checks(seen)

    def _refused(self, networks: Sequence[Network]) -> dict[str, str]:
        """Find containers of these networks whose start failed, with the engine's words."""
        api, refused = self._engine.api, {}
        for network in networks:
            listed = self._engine.ask(
                api.containers, all=True, filters={"network": network.id, "status": list(_STATES)}
            )
            for each in listed or ():
                shown = self._engine.ask(api.inspect_container, each["Id"]) or {}
                if text := (shown.get("State") or {}).get("Error"):
                    refused[str(shown.get("Name", "")).lstrip("/")] = str(text)
        return refused
