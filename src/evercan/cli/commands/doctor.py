"""The way through all that can be looked at; what cannot be is told with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from evercan.cli.access import host_facts as facts
from evercan.cli.access.engine import Engine, Network, Plugin
from evercan.cli.access.host import Host, ThisHost
from evercan.cli.access.reach import Wish, socket_of, way_to
from evercan.cli.access.source import side_by_side
from evercan.cli.checks.check import Check, Result
from evercan.cli.checks.health import health_checks
from evercan.cli.checks.host import host_checks
from evercan.cli.checks.networks import gateway_check, pool_check, refusal_checks
from evercan.cli.checks.plugin import (
    engine_check,
    only_one_checks,
    plugin_checks,
    record_check,
)
from evercan.cli.errors import CliError, NoAccess, NoEngine
from evercan.cli.pages import terminal
from evercan.cli.pages.doctor import document, page

_STATES = ("created", "exited")
"""States of a container that may have failed to start."""


def doctor(wish: Wish, *, as_json: bool, strict: bool) -> int:
    """Look, report, and return the exit status: 1 if something fails."""
    found = examine(wish)
    bad = {Result.FAIL, Result.WARN} if strict else {Result.FAIL}
    status = int(any(each.result in bad for each in found))
    if as_json:
        terminal.as_json(document(found))
    else:
        terminal.console().print(page(found), crop=False)
    return status


def examine(wish: Wish) -> list[Check]:
    """Look at everything that can be looked at."""
    with ExitStack() as stack:
        try:
            engine = Engine(wish.engine)
        except NoEngine as error:
            return [*_without_engine(error)]
        stack.callback(engine.close)
        return [*_Examination(engine, wish, stack).checks()]


def _without_engine(error: NoEngine) -> Iterator[Check]:
    """The host that we are on may be the one that is meant, unless another is named."""
    if error.where.startswith(("unix:", "http+unix:")):
        yield from _host(ThisHost())
    else:
        yield Check("host", "kernel", Result.SKIPPED, "the engine's host is not reached")
    yield _told("engine.reachable", "Docker engine", error)
    for identity, title in (("plugin", "plugin"), ("networks", "networks")):
        yield Check(identity, title, Result.SKIPPED, "no engine that could be asked")


def _told(identity: str, title: str, error: CliError, result: Result = Result.FAIL) -> Check:
    """Make a check of an error's sentence: what is wrong, then what to do."""
    text, _, remedy = str(error).partition("; ")
    return Check(identity, title, result, text, remedy)


def _host(host: Host) -> Iterator[Check]:
    try:
        yield from host_checks(facts.look(host))
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
            yield _told("host", "kernel", error, Result.SKIPPED)
        else:
            yield from _host(host)
        try:
            yield from self._of_engine(host)
        except CliError as error:
            yield _told("engine.reachable", "what the engine knows", error)

    def _of_engine(self, host: Host | None) -> Iterator[Check]:
        about = self._engine.info()
        yield engine_check(str(about.get("ServerVersion") or ""))
        plugins = self._engine.plugins()
        yield from plugin_checks(plugins, self._wish.plugin)
        networks: list[Network] = []
        numbers: dict[str, int] = {}
        for each in plugins:
            own = self._engine.networks(each.name)
            if each.enabled:
                numbers[each.name] = len(own)
            if self._wish.plugin in (None, each.name, each.name.removesuffix(":latest")):
                networks += own
                yield from self._of_plugin(each, own, host, str(about.get("DockerRootDir") or ""))
        yield from only_one_checks(numbers)
        yield pool_check(networks)
        gateway = self._engine.ask(self._engine.api.inspect_network, "docker_gwbridge") or {}
        yield gateway_check(networks, gateway.get("Containers") or {})
        yield from refusal_checks(self._refused(networks))

    def _of_plugin(
        self, plugin: Plugin, networks: Sequence[Network], host: Host | None, data_root: str
    ) -> Iterator[Check]:
        if host is None:
            yield Check("plugin.reachable", "plugin's socket", Result.SKIPPED, "no way to its host")
            return
        if plugin.enabled:
            yield from self._answers(plugin, host)
        else:
            yield Check(
                "plugin.reachable", "plugin's socket", Result.SKIPPED, f"{plugin.name} is disabled"
            )
        try:
            record = facts.record(host, data_root, plugin.id)
        except CliError as error:
            yield Check("plugin.record", "state file", Result.SKIPPED, str(error))
        else:
            yield record_check(plugin, record, networks)

    def _answers(self, plugin: Plugin, host: Host) -> Iterator[Check]:
        try:
            seen = side_by_side(self._engine, plugin, socket_of(plugin, host, self._wish))
        except NoAccess as error:
            yield _told("plugin.reachable", "plugin's socket", error, Result.SKIPPED)
            return
        except CliError as error:
            yield _told("plugin.reachable", "plugin's socket", error)
            return
        told = f"{plugin.name} answers" + (f" ({seen.version})" if seen.version else "")
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
        yield from health_checks(seen)

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
