"""Check a host's kernel; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from evercan.cli.checks.check import Check, Result
from evercan.cli.views.host import MODULES, WIRE_MODULES, HostFacts

_AUTOLOADED = {"vcan", "vxcan"}
"""Modules that the kernel loads when an interface of their kind is created."""


def host_checks(facts: HostFacts) -> Iterator[Check]:
    """Check a host's kernel modules and the parameters of can-gw."""
    yield from (_module(facts, module) for module in MODULES)
    if "can-gw" in facts.loaded or "can-gw" in facts.available:
        loaded = "can-gw" in facts.at_boot | facts.built_in
        how = "built into the kernel" if "can-gw" in facts.built_in else "loaded at boot"
        yield Check(
            "host.at-boot",
            "can-gw at boot",
            Result.OK if loaded else Result.WARN,
            how if loaded else "nothing loads it at boot: after a reboot no bus works",
            "" if loaded else "echo can-gw | sudo tee /etc/modules-load.d/evercan.conf",
        )
    if facts.max_hops is not None:
        yield Check(
            "host.max-hops",
            "can-gw max_hops",
            Result.OK,
            f"{facts.max_hops}; evercan works with any value",
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
            "installed, but not loaded; the kernel does not load it by itself",
            f"sudo modprobe {module}",
        )
    system = facts.system or "this system"
    return Check(
        identity,
        title,
        Result.FAIL,
        f"not installed for kernel {facts.kernel} of {system}",
        package_remedy(facts),
    )


def limits_check(facts: HostFacts, needed: Iterable[str]) -> Check:
    """Check whether a host has the kernel modules that limits of members need.

    Args:
        facts: the facts about the host.
        needed: names of modules.
    """
    return _needed(
        facts,
        ("host.limits", "kernel modules for limits"),
        needed,
        "the kernel has what the limits of members need",
        "members with limits do not start, or receive and send nothing",
    )


def bitrates_check(facts: HostFacts) -> Check:
    """Check whether a host has the kernel modules that virtual buses with a bitrate need."""
    return _needed(
        facts,
        ("host.bitrates", "kernel modules for bitrates"),
        WIRE_MODULES,
        "the kernel has what virtual buses with a bitrate need",
        "networks with kind virtual and a bitrate are not created or restored",
    )


def _needed(
    facts: HostFacts,
    about: tuple[str, str],
    needed: Iterable[str],
    good: str,
    effect: str,
) -> Check:
    """Check for modules; about: the check's id and title, and what is so without a module."""
    missing = sorted(set(needed) - facts.loaded - facts.available)
    if not missing:
        return Check(*about, Result.OK, good)
    names = ", ".join(name.replace("-", "_") for name in missing)
    return Check(
        *about,
        Result.FAIL,
        f"{names}: not installed for kernel {facts.kernel}; {effect}",
        package_remedy(facts, "with " + ", ".join(map(_option, missing))),
    )


def _option(module: str) -> str:
    """Return the option of the kernel's configuration for a module of traffic control."""
    kind, _, name = module.partition("-")
    if not name:
        return f"CONFIG_{module.upper()}"
    group = {"em": "EMATCH", "sch": "SCH"}.get(kind, kind.upper())
    return f"CONFIG_NET_{group}_{name.upper()}"


def package_remedy(facts: HostFacts, fitting: str = "with CONFIG_CAN_GW") -> str:
    """Return how to install the CAN modules of a kernel.

    Args:
        facts: the facts about the host.
        fitting: what a kernel needs to have them, for a system whose packages are not known.
    """
    kernel = facts.kernel
    if "microsoft" in kernel.lower():
        return "WSL's kernel has no CAN: build one with CONFIG_CAN, CAN_VCAN, CAN_VXCAN and CAN_GW"
    if "linuxkit" in kernel:
        return "Docker Desktop's kernel has no CAN: use an engine on a Linux machine"
    if facts.os == "ubuntu":
        return f"sudo apt-get install linux-modules-extra-{kernel}"
    if facts.os == "raspbian" or "rpi" in kernel or re.search(r"-v[678]l?\+$", kernel):
        return (
            "sudo apt update && sudo apt upgrade, and reboot: Raspberry Pi OS kernels have vxcan "
            "from September 2026 on"
        )
    if facts.os == "debian" and "cloud" in kernel:
        image = "arm64" if facts.machine == "aarch64" else "amd64"
        return f"sudo apt-get install linux-image-{image} and reboot: the cloud kernel has no CAN"
    if facts.os in ("fedora", "rhel", "centos", "rocky", "almalinux"):
        return f"sudo dnf install kernel-modules-extra-{kernel}"
    if not facts.has_tree:
        return "the running kernel's modules are not on disk: reboot into the installed kernel"
    return f"install the package with these modules of the running kernel, or a kernel {fitting}"
