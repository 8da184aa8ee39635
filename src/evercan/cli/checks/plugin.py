"""Check the engine, its evercan plugins and their state files; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words
from evercan.cli.views.docker import DockerNetwork, DockerPlugin
from evercan.cli.views.host import StateFileFacts


def engine_check(version: str) -> Check:
    """Check an engine's version, such as ``28.5.2``."""
    title = "Docker engine"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if (29, 0, 0) <= numbers <= (29, 0, 2):
        return Check(
            "engine.version",
            title,
            Result.FAIL,
            f"{version} crashes with any network plugin",
            "upgrade it to 29.0.3 or newer",
        )
    if numbers < (20, 10):
        return Check(
            "engine.version",
            title,
            Result.WARN,
            f"{version or 'unknown version'}; evercan is tested with 20.10 and newer",
            "upgrade it",
        )
    return Check("engine.version", title, Result.OK, f"{version} answers")


def plugin_checks(plugins: Sequence[DockerPlugin], wanted: str | None) -> Iterator[Check]:
    """Check that the engine has an enabled evercan."""
    identity, title = "plugin.enabled", "plugin"
    named = [plugin for plugin in plugins if plugin.has_name(wanted)]
    if not named:
        name = wanted or "evercan:latest"
        yield Check(
            identity,
            title,
            Result.FAIL,
            f"the engine has no plugin {name}"
            + (f"; plugins: {', '.join(plugin.name for plugin in plugins)}" if plugins else ""),
            f"docker plugin create {name} dist/plugin && docker plugin enable {name}"
            if wanted
            else "evercan install",
        )
    for plugin in named:
        yield Check(
            identity,
            title,
            Result.OK if plugin.enabled else Result.FAIL,
            f"{plugin.name} is {'enabled' if plugin.enabled else 'disabled'}",
            "" if plugin.enabled else f"docker plugin enable {plugin.name}",
        )


def only_one_checks(networks: Mapping[str, int]) -> Iterator[Check]:
    """Check that no more than one is enabled.

    Args:
        networks: the number of networks by name of the enabled plugins.
    """
    if len(networks) > 1:
        least_used = min(sorted(networks), key=networks.__getitem__)
        number = words.number_of(networks[least_used], "network")
        yield Check(
            "plugin.only-one",
            "one evercan on a host",
            Result.WARN,
            f"{' and '.join(sorted(networks))} are enabled and would change the same interfaces; "
            f"{least_used} has {number}",
            f"docker plugin disable -f {least_used}",
        )


def architecture_check(plugin: DockerPlugin, built_for: str, machine: str) -> Check | None:
    """Check that a plugin is built for its host; None if one of both is not known.

    Args:
        plugin: the plugin.
        built_for: the plugin's architecture, such as ``arm64``.
        machine: the host's, as the engine names it: ``x86_64``.
    """
    host = _ARCHITECTURES.get(machine, machine)
    if not built_for or not host:
        return None
    right = built_for == host
    return Check(
        "plugin.architecture",
        "plugin's architecture",
        Result.OK if right else Result.FAIL,
        built_for if right else f"{plugin.name} is built for {built_for}; the host is {host}",
        "" if right else f"docker plugin rm -f {plugin.name}, then: evercan install",
    )


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}
"""Names that plugins are published under, by the engine's."""


def version_check(plugin: DockerPlugin, its: str, own: str) -> Check | None:
    """Check that a plugin is not older than this command; None if its version is not known."""
    if not its:
        return None
    older = _numbers(its) < _numbers(own)
    return Check(
        "plugin.version",
        "plugin's version",
        Result.WARN if older else Result.OK,
        f"{plugin.name} is {its}, older than this command ({own})" if older else its,
        "evercan install" if older else "",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def state_file_check(
    plugin: DockerPlugin, state_file: StateFileFacts, networks: Sequence[DockerNetwork]
) -> Check:
    """Check a plugin's state file."""
    identity, title = "plugin.record", f"state of {plugin.name}"
    if state_file.error:
        return Check(
            identity,
            title,
            Result.FAIL,
            f"cannot be understood ({state_file.error})",
            f"docker plugin disable -f {plugin.name} && docker plugin enable {plugin.name} && "
            "evercan adopt",
        )
    if not state_file.present:
        return Check(
            identity,
            title,
            Result.FAIL if networks else Result.OK,
            "there is no state file" + (", but the engine has networks" if networks else " yet"),
            "evercan adopt" if networks else "",
        )
    missing = sorted(
        network.name for network in networks if network.id not in (state_file.networks or ())
    )
    if missing:
        return Check(
            identity,
            title,
            Result.FAIL,
            f"valid, but without these networks: {', '.join(missing)}",
            "evercan adopt",
        )
    if state_file.damaged:
        return Check(
            identity,
            title,
            Result.WARN,
            f"valid; a damaged one was set aside: {state_file.damaged[-1]}",
            "check the host's disk, run evercan adopt, then delete the damaged file",
        )
    return Check(
        identity,
        title,
        Result.OK,
        f"valid, {words.number_of(len(state_file.networks or ()), 'network')}",
    )
