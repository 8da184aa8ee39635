"""What the doctor thinks of an engine, its evercan, and that one's record; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from evercan.cli.access.engine import Network, Plugin
from evercan.cli.access.host_facts import RecordFacts
from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words


def engine_check(version: str) -> Check:
    """Judge an engine's version, ``28.5.2`` or the like."""
    title = "Docker engine"
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:3])
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
            f"{version or 'of unknown version'}; evercan is tried with 20.10 and newer",
            "upgrade it",
        )
    return Check("engine.version", title, Result.OK, f"{version} answers")


def plugin_checks(plugins: Sequence[Plugin], wanted: str | None) -> Iterator[Check]:
    """Judge which evercan there is."""
    identity, title = "plugin.enabled", "plugin"
    named = [
        each for each in plugins if wanted in (None, each.name, each.name.removesuffix(":latest"))
    ]
    if not named:
        name = wanted or "evercan:latest"
        yield Check(
            identity,
            title,
            Result.FAIL,
            f"the engine has no plugin {name}"
            + (f"; it has {', '.join(each.name for each in plugins)}" if plugins else ""),
            f"docker plugin create {name} dist/plugin && docker plugin enable {name}",
        )
    for each in named:
        yield Check(
            identity,
            title,
            Result.OK if each.enabled else Result.FAIL,
            f"{each.name} is {'enabled' if each.enabled else 'disabled'}",
            "" if each.enabled else f"docker plugin enable {each.name}",
        )


def only_one_checks(networks: Mapping[str, int]) -> Iterator[Check]:
    """Judge whether several are enabled.

    Args:
        networks: how many networks each has that is enabled, by its name.
    """
    if len(networks) > 1:
        idlest = min(sorted(networks), key=networks.__getitem__)
        yield Check(
            "plugin.only-one",
            "one evercan on a host",
            Result.WARN,
            f"{' and '.join(sorted(networks))} are enabled: they work on the same interfaces",
            f"docker plugin disable -f {idlest}, which has "
            f"{words.number_of(networks[idlest], 'network')}",
        )


def record_check(plugin: Plugin, record: RecordFacts, networks: Sequence[Network]) -> Check:
    """Judge a plugin's state file."""
    identity, title = "plugin.record", f"record of {plugin.name}"
    if record.mistake:
        return Check(
            identity,
            title,
            Result.FAIL,
            f"cannot be understood ({record.mistake})",
            f"docker plugin disable -f {plugin.name} && docker plugin enable {plugin.name}, which "
            "sets it aside; then evercan adopt",
        )
    if not record.present:
        return Check(
            identity,
            title,
            Result.FAIL if networks else Result.OK,
            "is not there" + (", and the engine has networks" if networks else " yet"),
            "evercan adopt" if networks else "",
        )
    missing = sorted(each.name for each in networks if each.id not in (record.networks or ()))
    if missing:
        return Check(
            identity,
            title,
            Result.FAIL,
            f"sound, but does not have {', '.join(missing)}",
            "evercan adopt",
        )
    if record.damaged:
        return Check(
            identity,
            title,
            Result.WARN,
            f"sound; a damaged one was set aside: {record.damaged[-1]}",
            "see that the host's disk is well; evercan adopt tells what was lost; then delete it",
        )
    return Check(
        identity,
        title,
        Result.OK,
        f"sound, {words.number_of(len(record.networks or ()), 'network')}",
    )
