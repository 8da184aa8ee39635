"""Compose projects by the engine's API, and the demo's choice of host ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from demo.__main__ import EXAMPLE, host_ends
from lab.compose import Project
from lab.testbed import Testbed


class Engine:
    """A testbed without compose, whose engine has networks."""

    def __init__(self, *names: str) -> None:
        self.found = [SimpleNamespace(name=name, id=f"id of {name}") for name in names]
        self.networks = SimpleNamespace(list=lambda: self.found)

    def host(self, *_: str, **__: object) -> SimpleNamespace:
        return SimpleNamespace(returncode=1)

    def client(self) -> Engine:
        return self


def project(engine: Engine, file: Path = EXAMPLE) -> Project:
    return Project(cast("Testbed", engine), file, "demo")


def test_a_projects_networks_are_found_by_their_full_name() -> None:
    engine = Engine("demo_powertrain", "demo_powertrain2", "other-demo_powertrain", "bridge")
    assert [network.name for network in project(engine).networks()] == ["demo_powertrain"]
    assert project(Engine("bridge")).networks() == []


class OldEngine(Engine):
    """A testbed whose release has version 1 of compose."""

    ran: list[tuple[str, ...]]

    def host(self, *argv: str, **_: object) -> SimpleNamespace:
        self.ran = [*getattr(self, "ran", []), argv]
        return SimpleNamespace(returncode=0 if "docker-compose" in argv else 1)


def test_version_1_of_compose_is_used_where_the_release_has_no_other() -> None:
    engine = OldEngine()
    old = project(engine)
    assert old.by_compose
    old.up(sender=2)
    assert engine.ran[-1][2:4] == ("docker-compose", "--project-name")
    assert "--scale=sender=2" in engine.ran[-1]


def test_only_the_demos_own_pairs_are_deleted() -> None:
    def endpoint(name: str, *, present: bool = True) -> dict[str, Any]:
        return {"endpoint": "e", "phase": "joined", "host_end": name, "present": present}

    status = {
        "networks": [
            {
                "network": "demo's",
                "bus": "vcan0",
                "endpoints": [endpoint("vxcan1"), endpoint("vxcan2", present=False)],
            },
            {"network": "another", "bus": "vcan0", "endpoints": [endpoint("vxcan3")]},
        ]
    }
    assert host_ends(status, ["demo's"]) == ["vxcan1"]
    assert host_ends(status, []) == []
