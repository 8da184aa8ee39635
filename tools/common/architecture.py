"""The names of a processor's architecture: Debian's and Go's, and the kernel's."""

from typing import Final, Literal, get_args

import docker

from tools.common.errors import BuildError

Architecture = Literal["amd64", "arm64"]

ARCHITECTURES: Final[tuple[Architecture, ...]] = get_args(Architecture)

MACHINES: Final[dict[Architecture, str]] = {"amd64": "x86_64", "arm64": "aarch64"}
"""What the kernel calls each architecture (``uname -m``); wheels and QEMU do too."""


def of_machine(machine: str) -> Architecture | None:
    """Return the architecture that the kernel calls ``machine``; None if it is neither."""
    return next((name for name, known in MACHINES.items() if known == machine), None)


def of_engine(client: docker.DockerClient) -> Architecture:
    """Return the architecture of an engine's host.

    Raises:
        BuildError: evercan is not built for it.
    """
    machine = str(client.info()["Architecture"])
    found = of_machine(machine)
    if found is None:
        raise BuildError(
            f"the engine's architecture {machine!r} is not one of {', '.join(MACHINES.values())}",
            "use an engine of one of these architectures",
        )
    return found
