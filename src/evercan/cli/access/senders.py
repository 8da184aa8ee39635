"""Create a container on a network for each sender of a recording."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from evercan.cli.access.container import PLAYER, OurContainer
from evercan.cli.access.engine import DockerEngine
from evercan.cli.access.program import Program

_PREFIX = "play-"

# 280 is ARPHRD_CAN.
_ON_ITS_INTERFACE = f"""
for folder in /sys/class/net/*; do
    read -r type <"$folder/type"
    [ "$type" != 280 ] || exec {PLAYER} "${{folder##*/}}"
done
echo 'it has no CAN interface' >&2
exit 1
"""


def container_of(sender: str) -> str:
    """Return the name of a sender's container."""
    return _PREFIX + re.sub(r"[^A-Za-z0-9_.-]", "_", sender)


@contextmanager
def players_in_containers(
    engine: DockerEngine,
    network: str,
    senders: Sequence[str],
    image: str,
    report: Callable[[str], None],
) -> Iterator[dict[str, Program]]:
    """Provide the program that sends frames in a new container for each sender.

    Args:
        engine: the engine.
        network: the network that they join.
        senders: names of senders; those with the same name of their container share it.
        image: the containers' image.
        report: called with what is being done.

    Raises:
        CliError: a container cannot be started; those before it are removed.
    """
    names = list(dict.fromkeys(map(container_of, senders)))
    with ExitStack() as stack:
        containers: dict[str, OurContainer] = {}
        for number, name in enumerate(names, 1):
            report(f"starting container {name}, {number} of {len(names)}")
            purpose = f"sends the frames of {name.removeprefix(_PREFIX)}"
            containers[name] = OurContainer(engine, image, name, purpose, network_mode=network)
            stack.enter_context(closing(containers[name]))
        for container in containers.values():
            # All of them end at the same time, before any of them is waited for.
            stack.callback(container.end)
        players = {
            name: stack.enter_context(closing(container.player("sh", "-c", _ON_ITS_INTERFACE)))
            for name, container in containers.items()
        }
        yield players
