#!/usr/bin/env -S python3 -IS
"""A program ``docker`` that keeps state: what install.sh needs of the engine and its command.

It rejects what the real ones reject: unknown options, a plugin or container that is not there, an
upgrade of an enabled plugin, another source without ``--skip-remote-check``, permissions that
nobody grants. The state is ``state.json`` in the folder FAKE_DOCKER; each call is a line in
``calls`` there. A file ``fault`` with ``NUMBER WHAT`` lets the call of that number fail:

- ``before``: it fails and does nothing
- ``after``: it does its work and fails nevertheless
- ``signal``: it does its work, and then SIGTERM goes to the process group, as Ctrl-C does
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

TYPE_CHECKING = False  # the module typing is slow to import, and this runs very often
if TYPE_CHECKING:
    from typing import Any

FOLDER = Path(os.environ.get("FAKE_DOCKER", "."))


class Rejected(Exception):  # noqa: N818 - named for what happened
    """The engine or the command rejects a call."""


def need(condition: object, text: str) -> None:
    if not condition:
        raise Rejected(text)


def take(
    words: list[str], flags: tuple[str, ...] = (), values: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Split a command's words into options and arguments, and reject unknown options."""
    found: dict[str, Any] = {"arguments": []}
    words = list(words)
    while words:
        word = words.pop(0)
        if word in flags:
            found[word] = True
        elif word in values:
            need(words, f"flag needs an argument: {word}")
            found.setdefault(word, []).append(words.pop(0))
        else:
            need(not word.startswith("-"), f"unknown flag: {word}")
            found["arguments"].append(word)
            if values == CREATE_VALUES and len(found["arguments"]) == 1:
                found["arguments"] += words  # the container's command
                break
    return found


CREATE_VALUES = ("--name", "--label", "--network", "--cap-drop", "--mount", "--env")


def render(template: str, values: dict[str, str]) -> str:
    """Fill in the fields of a template of the real command's language."""
    for name, value in values.items():
        template = template.replace("{{." + name + "}}", value)
    need("{{" not in template, f"template: cannot evaluate {template}")
    return template


class Engine:
    def __init__(self) -> None:
        self.state: dict[str, Any] = json.loads((FOLDER / "state.json").read_text())

    def save(self) -> None:
        (FOLDER / "state.json").write_text(json.dumps(self.state))

    # info, images, networks

    def info(self, words: list[str]) -> None:
        options = take(words, values=("--format",))
        need(self.state["running"], "Cannot connect to the Docker daemon. Is it running?")
        print(render(options["--format"][0], self.state["info"]))

    def image_ls(self, words: list[str]) -> None:
        options = take(words, flags=("-q",))
        for name in options["arguments"]:
            if name in self.state["images"]:
                print("0123456789ab")

    def image_rm(self, words: list[str]) -> None:
        for name in take(words)["arguments"]:
            need(name in self.state["images"], f"No such image: {name}")
            need(not self.state["helper"].get("name"), "image is being used by a container")
            self.state["images"].remove(name)

    def network_ls(self, words: list[str]) -> None:
        options = take(words, values=("--format",))
        for name, driver in self.state["networks"].items():
            print(render(options["--format"][0], {"Name": name, "Driver": driver}))

    def network_rm(self, words: list[str]) -> None:
        for name in take(words)["arguments"]:
            need(name in self.state["networks"], f"network {name} not found")
            need(name not in self.state["members"], f"network {name} has active endpoints")
            del self.state["networks"][name]

    # containers: the helper alone

    def import_(self, words: list[str]) -> None:
        file, name = take(words)["arguments"]
        with Path(file).open("rb") as stream:
            need(stream.read(512)[257:262] == b"ustar", "invalid tar header")
        self.state["images"].append(name)

    def create(self, words: list[str]) -> None:
        options = take(words, values=CREATE_VALUES)
        image, *command = options["arguments"]
        need(image in self.state["images"], f"Unable to find image {image}")
        need(not self.state["helper"].get("name"), "the container name is already in use")
        need(options["--network"] == ["host"], "it serves on the host's loopback address")
        need(command == ["/usr/bin/python3", "-I", "/registry/serve.py"], f"no file {command}")
        old = [value.removeprefix("OLD=") for value in options.get("--env", [])]
        if old:
            source = f"source={self.state['info']['DockerRootDir']}/plugins"
            need(source in options["--mount"][0].split(","), "bind source path does not exist")
        self.state["helper"] = {"name": options["--name"][0], "old": old}

    def cp(self, words: list[str]) -> None:
        source, target = take(words)["arguments"]
        need(target == self.state["helper"].get("name", "") + ":/", "No such container")
        need(Path(source, "serve.py").is_file(), f"no such file: {source}/serve.py")
        manifest = json.loads(Path(source, "manifest.json").read_text())
        config = Path(source, manifest["config"]["digest"].removeprefix("sha256:"))
        self.state["helper"]["new"] = json.loads(config.read_text())["documentation"]

    def start(self, words: list[str]) -> None:
        (name,) = take(words)["arguments"]
        helper = self.state["helper"]
        need(name == helper.get("name"), f"No such container: {name}")
        need("new" in helper, "can't open file '/registry/serve.py'")
        served = {"new": helper["new"]}
        for plugin in self.state["plugins"].values():
            if plugin["id"] in helper["old"]:
                served["old"] = plugin["documentation"]
        need(len(served) == 1 + len(helper["old"]), "no such plugin")
        helper["served"] = served

    def logs(self, words: list[str]) -> None:
        (name,) = take(words)["arguments"]
        need(name == self.state["helper"].get("name"), f"No such container: {name}")
        if "served" in self.state["helper"]:
            print(40123)

    def rm(self, words: list[str]) -> None:
        options = take(words, flags=("-f",))
        if self.state["helper"].get("name") in options["arguments"]:
            self.state["helper"] = {}

    # plugins

    def plugin_ls(self, words: list[str]) -> None:
        options = take(words, flags=("--no-trunc",), values=("--format",))
        for name, plugin in self.state["plugins"].items():
            fields = {
                "Name": name,
                "ID": plugin["id"],
                "Enabled": str(plugin["enabled"]).lower(),
                "PluginReference": plugin["reference"],
            }
            print(render(options["--format"][0], fields))

    def plugin(self, name: str) -> dict[str, Any]:
        need(name in self.state["plugins"], f"plugin {name!r} not found")
        found: dict[str, Any] = self.state["plugins"][name]
        return found

    def plugin_inspect(self, words: list[str]) -> None:
        options = take(words, values=("-f",))
        plugin = self.plugin(options["arguments"][0])
        print(render(options["-f"][0], {"Config.Documentation": plugin["documentation"]}))

    def pulled(self, reference: str) -> str:
        """Return the documentation of what a registry has under a reference."""
        address, _, tag = reference.rpartition(":")
        if address == "127.0.0.1:40123/evercan-upgrade":
            served = self.state["helper"].get("served")
            need(served, "dial tcp 127.0.0.1:40123: connect: connection refused")
            found = served.get("old") if tag == "old" else served["new"]
        else:
            found = self.state["registry"].get(reference)
        need(found, f"manifest unknown: {reference}")
        return str(found)

    def plugin_install(self, words: list[str]) -> None:
        options = take(words, ("--disable", "--grant-all-permissions"), ("--alias",))
        (reference,) = options["arguments"]
        name = options.get("--alias", [reference])[0]
        need("--grant-all-permissions" in options, "permission denied: nobody answers")
        need(name not in self.state["plugins"], f"plugin {name!r} already exists")
        documentation = self.pulled(reference)
        self.state["made"] += 1
        self.state["plugins"][name] = {
            "id": f"{self.state['made']:064x}",
            "enabled": "--disable" not in options,
            "documentation": documentation,
            "reference": reference,
            "state": "new",
        }

    def plugin_upgrade(self, words: list[str]) -> None:
        options = take(words, ("--grant-all-permissions", "--skip-remote-check"))
        name, reference = options["arguments"]
        plugin = self.plugin(name)
        need(not plugin["enabled"], "the plugin must be disabled before upgrading")
        same = reference == plugin["reference"]
        need(same or "--skip-remote-check" in options, "plugin upgrade has been cancelled")
        need("--grant-all-permissions" in options, "permission denied: nobody answers")
        plugin.update(documentation=self.pulled(reference), reference=reference)

    def plugin_enable(self, words: list[str]) -> None:
        plugin = self.plugin(take(words)["arguments"][0])
        need(not plugin["enabled"], "plugin is already enabled")
        need(plugin["documentation"] not in self.state["broken"], "dial unix: no such file")
        plugin["enabled"] = True

    def plugin_disable(self, words: list[str]) -> None:
        options = take(words, flags=("-f",))
        (name,) = options["arguments"]
        plugin = self.plugin(name)
        need(plugin["enabled"], "plugin is already disabled")
        used = name in self.state["networks"].values()
        need("-f" in options or not used, "plugin is in use")
        plugin["enabled"] = False

    def plugin_rm(self, words: list[str]) -> None:
        options = take(words, flags=("-f",))
        for name in options["arguments"]:
            plugin = self.plugin(name)
            need("-f" in options or not plugin["enabled"], "plugin is enabled")
            del self.state["plugins"][name]


def main() -> int:
    words = sys.argv[1:]
    with (FOLDER / "calls").open("a+") as calls:
        calls.seek(0)
        number = sum(1 for _ in calls) + 1
        print(*words, file=calls)
    fault = ""
    if (FOLDER / "fault").exists():
        at, what = (FOLDER / "fault").read_text().split()
        fault = what if int(at) == number else ""
    if fault == "before":
        print("injected: nothing was done", file=sys.stderr)
        return 1
    engine = Engine()
    name = "_".join(words[:2]) if words[0] in {"plugin", "network", "image"} else words[0]
    rest = words[len(name.split("_")) :]
    try:
        known = {"import": "import_"}.get(name, name)
        need(hasattr(engine, known), f"docker: {name!r} is not a docker command")
        getattr(engine, known)(rest)
    except Rejected as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    engine.save()
    if fault == "after":
        print("injected: it was done", file=sys.stderr)
        return 1
    if fault == "signal":
        sys.stdout.flush()
        os.killpg(0, signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit(main())
