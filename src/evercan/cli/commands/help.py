"""``evercan help``: explain a command or a topic."""

from __future__ import annotations

from dataclasses import dataclass

import rich_click as click

from evercan.cli.errors import CliError


@dataclass(frozen=True)
class Topic:
    """A topic of the help.

    Attributes:
        summary: one line.
        text: the explanation, in lines of at most 80 columns.
    """

    summary: str
    text: str


TOPICS = {
    "options": Topic(
        "Options of networks and containers",
        """\
A network's options are given when it is created; they select and set its bus:

  docker network create -d evercan:latest --ipam-driver null \\
      -o vxcan.dev=vcan -o vxcan.id=3 -o vxcan.peer=can powertrain

  vxcan.dev, vxcan.id   the bus interface on the host is named by both: vcan3.
                        Without them it is vcan0, for every network that has
                        none. vxcan.id may be text, as in main; auto is the
                        lowest free number.
  vxcan.peer            prefix of the interface's name in containers; the engine
                        appends a number: can0.
  vxcan.bridge          further interfaces of the host that are members of
                        the bus, as in vcan9,can1.
  vxcan.send, vxcan.receive
                        the ids that members may send and receive: all, none,
                        or a list such as 123,200:700,12345678,400~7FF.
  vxcan.send-rate, vxcan.send-burst
                        frames that a member may send per second, and at once.
  vxcan.kind            auto (an existing interface, else a new vcan), virtual,
                        or physical (a CAN controller, which may be absent).
  vxcan.bitrate, vxcan.sample-point, vxcan.dbitrate, vxcan.dsample-point,
  vxcan.fd, vxcan.restart-ms, vxcan.listen-only, vxcan.txqueuelen
                        settings of a CAN controller; left alone if not given.

A container's options are given when it is connected:

  docker network connect --driver-opt vxcan.name=engine powertrain CONTAINER

  vxcan.peer            prefix of the interface's name in this container.
  vxcan.name            a second name for the interface in this container, which
                        does not depend on the order of networks.
  vxcan.send, vxcan.receive, vxcan.send-rate, vxcan.send-burst
                        as for a network, for this container alone.
""",
    ),
    "connection": Topic(
        "Which engine and plugin the command uses",
        """\
The engine is the first of these:

  -H ADDRESS            before or after the command
  DOCKER_HOST           the same variable as for docker
  DOCKER_CONTEXT        or the current docker context
  unix:///var/run/docker.sock

An address is unix:///PATH, tcp://HOST:PORT, HOST:PORT or ssh://USER@HOST:PORT.
For TLS, set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a docker context.
ssh:// runs 'ssh HOST docker system dial-stdio': ssh must log in without a
password prompt, and docker must be installed on HOST.

The plugin and the kernel are on the engine's host. Root on that host uses them
directly. Everybody else who may use the engine reaches them through a helper
container on the engine, which ends with the command. It needs the image
evercan/can-tools, or the one that --helper-image or EVERCAN_HELPER_IMAGE names.

--plugin NAME selects one plugin if there are several.
""",
    ),
    "exit-status": Topic(
        "Exit statuses",
        """\
  0    no problem
  1    a problem, which the output names: doctor has a failed check, status an
       unhealthy network, adopt something left to do, record lost frames
  2    an error: nothing could be read, or the output could not be written; one
       sentence on standard error says why and what to do
  130  interrupted; not dump, record, play, generate and web, which Ctrl-C ends
  141  the reader of the output has closed it, as in: evercan status | head -1
""",
    ),
    "environment": Topic(
        "Environment variables",
        """\
  DOCKER_HOST           the engine's address; see 'evercan help connection'
  DOCKER_CONTEXT        the docker context, if DOCKER_HOST is not set
  DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
                        TLS, as for docker
  EVERCAN_HELPER_IMAGE  the image of the helper container
  EVERCAN_WEB_TOKEN     the token of the page of 'evercan web'
  NO_COLOR              no colours
  COLUMNS               the width of the output

The plugin has settings of its own, set with 'docker plugin set' while it is
disabled: EVERCAN_RECOVERY, EVERCAN_HEALTH_INTERVAL, EVERCAN_PROBE_INTERVAL,
EVERCAN_LOG_LEVEL, EVERCAN_LOG_FORMAT and EVERCAN_METRICS.
""",
    ),
    "json": Topic(
        "JSON output",
        """\
status, doctor, graph, top, fault show and adopt print one JSON document with
--json; dump prints one JSON object a line. Each document has "schema": 1, which
is raised when a field changes its meaning or is removed. New fields may be
added.

  evercan status --json | jq '.plugins[].networks[] | {name, bus, verdict}'
  evercan doctor --json | jq '.checks[] | select(.result == "fail") | .remedy'
  evercan graph --json | jq '.buses[] | {interface, networks}'
  evercan dump powertrain --json | jq 'select(.sender == "dashboard")'
  evercan adopt --json | jq .to_do
""",
    ),
    "recovery": Topic(
        "What evercan repairs by itself",
        """\
The plugin compares the kernel with the networks of the engine after every call,
after kernel events, when the number of rules has changed, and every
EVERCAN_HEALTH_INTERVAL seconds. It repairs what
is missing or was changed: interfaces, rules, and the settings of controllers.
'evercan status' shows the last repair of each bus.

With EVERCAN_RECOVERY=fail-fast it reports problems and repairs nothing:

  docker plugin disable -f evercan:latest
  docker plugin set evercan:latest EVERCAN_RECOVERY=fail-fast
  docker plugin enable evercan:latest

evercan does not repair the interface of a running container that was deleted
before the plugin started: restart the container. It waits for a CAN controller
that is not plugged in. 'evercan doctor' names such problems with the remedy.
""",
    ),
    "lost-state": Topic(
        "A plugin that does not know the engine's networks",
        """\
The plugin keeps its networks and endpoints in a state file. The file is kept
when the plugin is disabled, crashes or is upgraded, and when the host reboots.
'docker plugin rm' deletes it: the engine still has the networks, but a new
plugin does not know them. 'evercan doctor' reports unknown networks. Then run:

  evercan adopt

It restores the networks and the containers that are running, and lists what is
left to do, such as containers to restart. To let the plugin forget what the
engine does not have, run:

  evercan adopt --prune
""",
    ),
}
"""The topics by name."""


def show(topic: str, command: click.Command) -> int:
    """Print the help of a command or a topic; list both if the topic is empty.

    Raises:
        CliError: there is neither a command nor a topic of that name.
    """
    commands = command.commands if isinstance(command, click.Group) else {}
    if not topic:
        names = [*commands, *TOPICS]
        width = max(map(len, names)) + 2
        print("Commands:")
        for name, known in commands.items():
            print(f"  {name:<{width}}{known.short_help}")
        print("\nTopics:")
        for name, known_topic in TOPICS.items():
            print(f"  {name:<{width}}{known_topic.summary}")
        print("\nevercan help NAME explains a command or a topic.")
        return 0
    if topic in commands:
        command.main([topic, "--help"], prog_name="evercan", standalone_mode=False)
        return 0
    if topic not in TOPICS:
        raise CliError(
            f'no command or topic "{topic}"',
            f"commands: {', '.join(commands)}; topics: {', '.join(TOPICS)}",
        )
    print(f"{TOPICS[topic].summary}\n\n{TOPICS[topic].text}", end="")
    return 0


def complete_topics(context: click.Context, _: object, begun: str) -> list[str]:
    """Return the commands and topics whose names begin like this."""
    command = context.find_root().command
    commands = command.commands if isinstance(command, click.Group) else {}
    return [name for name in (*commands, *TOPICS) if name.startswith(begun)]
