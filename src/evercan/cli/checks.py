"""What the doctor thinks of what was found; pure.

Each check says what was checked, how it is, and what to do. Its id stays the
same from release to release: scripts go by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from evercan.cli import words
from evercan.cli.engine import Network, Plugin
from evercan.cli.facts import MODULES, HostFacts, RecordFacts
from evercan.cli.overview import NetworkView, Overview, Trouble, Verdict


class Result(StrEnum):
    """How a check ended, from good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        id: for scripts: ``host.can-gw``.
        title: what was checked.
        result: how it is.
        text: what was found; of a skipped one, why.
        remedy: what to do; empty if nothing.
    """

    id: str
    title: str
    result: Result
    text: str
    remedy: str = ""


_AUTOLOADED = {"vcan", "vxcan"}
"""Modules that the kernel loads when an interface of their kind is asked for."""


def host_checks(facts: HostFacts) -> Iterator[Check]:
    """Judge a host's kernel."""
    yield from (_module(facts, each) for each in MODULES)
    if "can-gw" in facts.loaded or "can-gw" in facts.available:
        kept = "can-gw" in facts.at_boot
        yield Check(
            "host.at-boot",
            "can-gw at boot",
            Result.OK if kept else Result.WARN,
            "is loaded at boot" if kept else "nothing loads it at boot: a reboot ends all buses",
            "" if kept else "echo can-gw | sudo tee /etc/modules-load.d/evercan.conf",
        )
    if facts.max_hops is not None:
        yield Check(
            "host.max-hops",
            "can-gw max_hops",
            Result.OK,
            f"{facts.max_hops}; evercan's rules forward once, whatever it is",
        )


def _module(facts: HostFacts, module: str) -> Check:
    identity, title = f"host.{module}", f"kernel module {module}"
    if module in facts.loaded:
        return Check(identity, title, Result.OK, "loaded")
    if module in facts.available:
        if module in _AUTOLOADED:
            return Check(identity, title, Result.OK, "not loaded; the kernel loads it when needed")
        return Check(
            identity,
            title,
            Result.FAIL,
            "there and not loaded; it does not load by itself",
            f"sudo modprobe {module}",
        )
    where = facts.system or "this system"
    return Check(
        identity,
        title,
        Result.FAIL,
        f"not there for kernel {facts.kernel} of {where}",
        package_remedy(facts),
    )


def package_remedy(facts: HostFacts) -> str:
    """Say which package has the CAN modules of a kernel."""
    kernel = facts.kernel
    if "microsoft" in kernel.lower():
        return "WSL's kernel comes without CAN: build one with CONFIG_CAN, VCAN, VXCAN and CAN_GW"
    if "linuxkit" in kernel:
        return "Docker Desktop's kernel has no CAN: use an engine on a Linux machine"
    if facts.os == "ubuntu":
        return f"sudo apt-get install linux-modules-extra-{kernel}"
    if facts.os == "raspbian" or "rpi" in kernel:
        return "sudo apt-get full-upgrade and reboot: older Raspberry Pi kernels lack vxcan"
    if facts.os == "debian" and "cloud" in kernel:
        image = "arm64" if facts.machine == "aarch64" else "amd64"
        return f"sudo apt-get install linux-image-{image} and reboot: the cloud kernel has no CAN"
    if facts.os in ("fedora", "rhel", "centos", "rocky", "almalinux"):
        return f"sudo dnf install kernel-modules-extra-{kernel}"
    if not facts.has_tree:
        return "there are no modules of the running kernel on disk: reboot into the installed one"
    return "install the package with the CAN modules of this kernel, or a kernel with CONFIG_CAN_GW"


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
    enabled = [each.name for each in plugins if each.enabled]
    if len(enabled) > 1:
        yield Check(
            "plugin.only-one",
            "one evercan on a host",
            Result.WARN,
            f"{' and '.join(enabled)} are enabled: they work on the same interfaces",
            f"docker plugin disable -f {enabled[-1]}",
        )


def record_check(plugin: Plugin, record: RecordFacts, networks: Sequence[Network]) -> Check:
    """Judge a plugin's state file."""
    identity, title = "plugin.record", "state file"
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


def health_checks(seen: Overview) -> Iterator[Check]:
    """Judge what the plugin says of its buses."""
    names = {each.endpoint: each.container for net in seen.networks for each in net.members}
    by_bus: dict[str, list[str]] = {}
    for network in seen.networks:
        by_bus.setdefault(network.bus, []).append(network.name)
    own = [one for net in seen.networks for one in net.troubles if one not in seen.troubles]
    for each in (*seen.troubles, *own):
        yield _trouble(each, names, by_bus)
    if not seen.troubles and not own:
        yield Check(
            "health",
            "buses",
            Result.OK,
            f"{words.number_of(len(seen.networks), 'network')}, all whole",
        )
    for network in seen.networks:
        yield from _controller(network)
        if network.recovered_at is not None and seen.now is not None:
            yield Check(
                "health.last-recovery",
                network.name,
                Result.OK,
                f"was mended {words.span(seen.now - network.recovered_at)} ago: "
                f"{network.recovery or 'the plugin does not say what'}",
            )


def _trouble(
    trouble: Trouble, names: Mapping[str, str], by_bus: Mapping[str, Sequence[str]]
) -> Check:
    text, _, remedy = trouble.text.partition("; ")
    whose = names.get(trouble.endpoint or "")
    networks = by_bus.get(trouble.bus, ())
    place = f"container {whose}" if whose else ", ".join(networks) or trouble.bus or "plugin"
    if whose:
        remedy = re.sub(r"restart (the|its|that) container", f"docker restart {whose}", remedy)
    return Check(f"health.{trouble.kind}", place, Result.FAIL, text, remedy)


def _controller(network: NetworkView) -> Iterator[Check]:
    state = network.controller.get("state")
    if not state or network.state in ("absent", "down"):
        return
    good = network.state == "error-active"
    result = Result.OK if good else Result.WARN
    if network.verdict is Verdict.FAIL and network.state == "bus-off":
        result = Result.FAIL
    yield Check(
        "health.controller",
        f"controller {network.bus}",
        result,
        f"is {state}{_errors(network.controller)}",
        "" if good else "check the wiring, 120 ohm at both ends, and that all have one bitrate",
    )


def _errors(controller: Mapping[str, Any]) -> str:
    errors = controller.get("errors") or {}
    known = [f"{errors[way]} {way}" for way in ("tx", "rx") if errors.get(way) is not None]
    return f", error counters {', '.join(known)}" if known else ""


def pool_check(networks: Sequence[Network]) -> Check:
    """Judge whether CAN networks eat the engine's address pools."""
    eaters = [each.name for each in networks if each.subnets]
    if not eaters:
        return Check(
            "networks.pools", "address pools", Result.OK, "no CAN network takes an address pool"
        )
    some = ", ".join(eaters[:5]) + (" …" if len(eaters) > 5 else "")
    return Check(
        "networks.pools",
        "address pools",
        Result.WARN,
        f"{words.number_of(len(eaters), 'CAN network')} ({some}) took one of the engine's about 31 "
        "each, and gave the CAN interfaces addresses",
        'create them with --ipam-driver null (compose: ipam: {driver: "null"})',
    )


def gateway_check(networks: Sequence[Network], on_gateway: Mapping[str, object]) -> Check:
    """Judge whether containers got a second card that an older plugin asked for.

    Args:
        networks: the CAN networks.
        on_gateway: what is attached to docker_gwbridge, by container id.
    """
    title = "docker_gwbridge"
    with_card = sorted(
        {
            each.container
            for network in networks
            for each in network.members
            if each.container_id in on_gateway
        }
    )
    if not with_card:
        return Check(
            "networks.gwbridge", title, Result.OK, "no container on a bus has a card on it"
        )
    return Check(
        "networks.gwbridge",
        title,
        Result.WARN,
        f"{', '.join(with_card)}: a second card with a default route, as older plugins leave it",
        f"docker restart {' '.join(with_card)}",
    )


def refusal_checks(refused: Mapping[str, str]) -> Iterator[Check]:
    """Tell of containers that did not start, by name, with the engine's words."""
    for name, text in sorted(refused.items()):
        yield Check(
            "networks.refused",
            f"container {name}",
            Result.FAIL,
            f"did not start: {text}",
            f"docker start {name}, once that is mended",
        )
