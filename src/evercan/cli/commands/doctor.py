"""``evercan doctor``: run all checks; a check that is not possible is skipped with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from evercan import __version__
from evercan.cli.access import host_facts
from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.host import HostAccess, LocalHost
from evercan.cli.access.reach import Target, open_host, plugin_socket
from evercan.cli.access.source import read_overview
from evercan.cli.access.unreachable import LOCAL
from evercan.cli.checks.check import Check, Result
from evercan.cli.checks.health import health_checks
from evercan.cli.checks.host import bitrates_check, host_checks, limits_check
from evercan.cli.checks.networks import failed_start_checks, gateway_check, pool_check, port_checks
from evercan.cli.checks.plugin import (
    architecture_check,
    engine_check,
    only_one_checks,
    plugin_checks,
    state_file_check,
    version_check,
)
from evercan.cli.errors import CliError, NoAccess, NoEngine
from evercan.cli.pages.doctor import Page, document
from evercan.cli.pages.terminal import console, print_json
from evercan.cli.views.docker import DockerContainer, DockerNetwork, DockerPlugin, release_of
from evercan.cli.views.host import HostFacts

_STATES = ("created", "exited")
"""States of a container that may have failed to start."""


def doctor(target: Target, *, json: bool, strict: bool) -> int:
    """Run the checks, print the report, and return the exit status: 1 if a check fails.

    Args:
        target: the engine and the plugin to check.
        json: print a JSON document.
        strict: count warnings as failures.
    """
    checks = examine(target)
    bad = {Result.FAIL, Result.WARN} if strict else {Result.FAIL}
    if json:
        print_json(document(checks))
    else:
        console().print(Page(checks), crop=False)
    return int(any(check.result in bad for check in checks))


def examine(target: Target) -> list[Check]:
    """Run all checks that are possible."""
    with ExitStack() as stack:
        try:
            engine = DockerEngine(target.engine)
        except NoEngine as error:
            return [*_without_engine(error)]
        stack.callback(engine.close)
        return [*_Examination(engine, target, stack).checks()]


def _without_engine(error: NoEngine) -> Iterator[Check]:
    """Check this host, unless the engine's address names another one."""
    if error.where.startswith(LOCAL):
        try:
            yield from host_checks(host_facts.read_host(LocalHost()))
        except CliError as unknown:
            yield Check.of_error("host", "kernel", unknown, Result.SKIPPED)
    else:
        yield Check("host", "kernel", Result.SKIPPED, "the engine's host cannot be reached")
    yield Check.of_error("engine.reachable", "Docker engine", error)
    for identity, title in (("plugin", "plugin"), ("networks", "networks")):
        yield Check(identity, title, Result.SKIPPED, "the engine cannot be reached")


class _Examination:
    """The checks of an engine that answers."""

    def __init__(self, engine: DockerEngine, target: Target, stack: ExitStack) -> None:
        self._engine, self._target, self._stack = engine, target, stack
        self._facts: HostFacts | None = None

    def checks(self) -> Iterator[Check]:
        host = None
        try:
            host = open_host(self._engine, self._target, files=True)
            self._stack.callback(host.close)
            self._facts = host_facts.read_host(host)
        except CliError as error:
            yield Check.of_error("host", "kernel", error, Result.SKIPPED)
        else:
            yield from host_checks(self._facts)
        try:
            yield from self._engine_checks(host)
        except CliError as error:
            yield Check.of_error("engine.reachable", "Docker engine", error)

    def _engine_checks(self, host: HostAccess | None) -> Iterator[Check]:
        about = self._engine.info()
        yield engine_check(str(about.get("ServerVersion") or ""))
        plugins = self._engine.plugins()
        yield from plugin_checks(plugins, self._target.plugin)
        networks: list[DockerNetwork] = []
        numbers: dict[str, int] = {}
        for plugin in plugins:
            own = self._engine.networks(plugin.name)
            if plugin.enabled:
                numbers[plugin.name] = len(own)
            if plugin.has_name(self._target.plugin):
                networks += own
                yield from self._plugin_checks(plugin, own, host, about)
        yield from only_one_checks(numbers)
        yield pool_check(networks)
        gateway = self._engine.ask(self._engine.api.inspect_network, "docker_gwbridge") or {}
        yield gateway_check(networks, gateway.get("Containers") or {})
        yield from port_checks(networks, self._containers(networks))
        yield from failed_start_checks(self._failed_starts(networks))

    def _plugin_checks(
        self,
        plugin: DockerPlugin,
        networks: Sequence[DockerNetwork],
        host: HostAccess | None,
        about: Mapping[str, Any],
    ) -> Iterator[Check]:
        data_root = str(about.get("DockerRootDir") or "")
        built_for = release_of(plugin.documentation)[1]
        if host is not None:
            built_for = host_facts.read_architecture(host, data_root, plugin)
        checked = architecture_check(plugin, built_for, str(about.get("Architecture") or ""))
        if checked:
            yield checked
        if host is None:
            yield Check(
                "plugin.reachable", "plugin's socket", Result.SKIPPED, "its host cannot be reached"
            )
            return
        if plugin.enabled:
            yield from self._health_checks(plugin, host)
        else:
            yield Check(
                "plugin.reachable", "plugin's socket", Result.SKIPPED, f"{plugin.name} is disabled"
            )
        try:
            state_file = host_facts.read_state_file(host, data_root, plugin.id)
        except CliError as error:
            yield Check.of_error("plugin.record", "state file", error, Result.SKIPPED)
        else:
            yield state_file_check(plugin, state_file, networks)

    def _health_checks(self, plugin: DockerPlugin, host: HostAccess) -> Iterator[Check]:
        try:
            socket = plugin_socket(plugin, host, self._target)
            overview = read_overview(self._engine, plugin, socket)
        except NoAccess as error:
            yield Check.of_error("plugin.reachable", "plugin's socket", error, Result.SKIPPED)
            return
        except CliError as error:
            yield Check.of_error("plugin.reachable", "plugin's socket", error)
            return
        its = overview.version or release_of(plugin.documentation)[0]
        if checked := version_check(plugin, its, __version__):
            yield checked
        text = f"{plugin.name} answers" + (f" ({overview.version})" if overview.version else "")
        yield Check("plugin.reachable", "plugin's socket", Result.OK, text)
        if overview.recovery == "fail-fast":
            yield Check(
                "plugin.recovery",
                "recovery",
                Result.WARN,
                "EVERCAN_RECOVERY=fail-fast: problems are reported and not repaired",
                f"docker plugin disable -f {plugin.name} && docker plugin set {plugin.name} "
                f"EVERCAN_RECOVERY=auto && docker plugin enable {plugin.name}",
            )
        members = [member for network in overview.networks for member in network.members]
        needed = {module for member in members for module in member.modules}
        if needed and self._facts is not None:
            yield limits_check(self._facts, needed)
        if self._facts is not None and any(network.wire for network in overview.networks):
            yield bitrates_check(self._facts)
        yield from health_checks(overview)

    def _containers(self, networks: Sequence[DockerNetwork]) -> list[DockerContainer]:
        """Read the running containers of networks, each one time."""
        ids = dict.fromkeys(
            endpoint.container_id for network in networks for endpoint in network.members
        )
        read = map(self._engine.container, ids)
        return [container for container in read if container is not None]

    def _failed_starts(self, networks: Sequence[DockerNetwork]) -> dict[str, str]:
        """Return the engine's error by name of the containers that did not start."""
        api, errors = self._engine.api, {}
        for network in networks:
            listed = self._engine.ask(
                api.containers, all=True, filters={"network": network.id, "status": list(_STATES)}
            )
            for container in listed or ():
                shown = self._engine.ask(api.inspect_container, container["Id"]) or {}
                if text := (shown.get("State") or {}).get("Error"):
                    errors[str(shown.get("Name", "")).lstrip("/")] = str(text)
        return errors
