"""Links with certificates: who has none of the same authority is refused, and the reason named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evercan.cli.commands.link_certs import certs
from tests.support import links as support
from tests.support.links import LinkProcess, Links, classic, free_port
from tools.common.polling import wait_until

HOSTS = ("a=127.0.0.1", "b=127.0.0.1")


@pytest.fixture
def links() -> Iterator[Links]:
    """Start links, and end them after the test."""
    yield from support.links()


def refusal(link: LinkProcess) -> str:
    """Return why a link is refused, as soon as it says so."""

    def problems() -> list[dict[str, str]]:
        try:
            return list(link.health()["problems"])
        except OSError:
            return []

    wait_until(lambda: any("refuse" in found["text"] for found in problems()), 20, "a refusal")
    return problems()[0]["text"]


@pytest.mark.parametrize("protocol", ["tls", "quic"])
def test_hosts_of_one_authority_are_linked(links: Links, tmp_path: Path, protocol: str) -> None:
    certs(tmp_path, HOSTS, days=1)
    port = free_port()
    a = links.start(
        "a", listen=f"{protocol}/127.0.0.1:{port}", certs=str(tmp_path / "a"), allow="b"
    )
    b = links.start(
        "b", connect=f"{protocol}/127.0.0.1:{port}", certs=str(tmp_path / "b"), allow="a"
    )
    a.wait_for("active", "b")
    b.wait_for("active", "a")
    a.bus.send(classic(1, b"there"))
    b.bus.send(classic(2, b"back"))
    assert b.bus.receive(1) == [classic(1, b"there")]
    assert a.bus.receive(1) == [classic(2, b"back")]


def test_a_host_that_is_not_on_the_list_takes_no_part(links: Links, tmp_path: Path) -> None:
    certs(tmp_path, (*HOSTS, "c=127.0.0.1"), days=1)
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}", certs=str(tmp_path / "a"), allow="b")
    b = links.start("b", connect=f"127.0.0.1:{port}", certs=str(tmp_path / "b"))
    c = links.start("c", connect=f"127.0.0.1:{port}", certs=str(tmp_path / "c"))
    a.wait_for("active", "b")
    b.wait_for("active", "a")
    c.wait_for("active")
    c.bus.send(classic(3, b"stranger"))
    a.bus.send(classic(1, b"a"))
    assert b.bus.receive(1) == [classic(1, b"a")]
    assert a.bus.receive(1, 1) == b.bus.receive(1, 0.1) == c.bus.receive(1, 0.1) == []
    assert [host["host"] for host in a.health()["hosts"]] == ["b"]
    assert a.health()["denied_hosts"] == ["c"]
    assert a.health()["healthy"]
    wait_until(lambda: not c.health()["healthy"], 20, "c's problem")
    [problem] = c.health()["problems"]
    assert problem["text"] == "connected with a, but no other host of bus powertrain is heard"
    assert "if LINK_ALLOW is set there, list c in it" in problem["remedy"]
    assert c.health()["sent"]["unheard"] == 1
    assert b.health()["sent"]["unheard"] == a.health()["sent"]["unheard"] == 0
    assert b.health()["healthy"]
    a.kill()
    assert a.output().count("host c is connected and not in LINK_ALLOW; it is denied") == 1


@pytest.mark.parametrize("case", ["another site", "expired", "another address"])
def test_a_wrong_certificate_is_refused_and_the_reason_named(
    links: Links, tmp_path: Path, case: str
) -> None:
    site, other = tmp_path / "site", tmp_path / "other"
    certs(site, HOSTS, days=1)
    certs(other, HOSTS, days=1)
    wrong = {
        "another site": (site / "a", other / "b", "unable to get local issuer certificate"),
        "expired": (site / "a", site / "b", "certificate expired"),
        "another address": (site / "a", site / "b", "IP address mismatch"),
    }[case]
    if case == "expired":
        certs(site, ["b=127.0.0.1"], days=-1)
    if case == "another address":
        certs(site, ["a=192.0.2.1"], days=1)
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}", certs=str(wrong[0]))
    b = links.start("b", connect=f"127.0.0.1:{port}", certs=str(wrong[1]))
    a.wait_for("active")
    assert wrong[2] in refusal(b)
    b.bus.send(classic(3, b"stranger"))
    assert a.bus.receive(1, 0.5) == []
    assert a.health()["hosts"] == []


def test_a_program_without_a_certificate_is_refused(links: Links, tmp_path: Path) -> None:
    certs(tmp_path, HOSTS, days=1)
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}", certs=str(tmp_path / "a"))
    b = links.start("b", connect=f"127.0.0.1:{port}")
    a.wait_for("active")
    wait_until(lambda: not b.health()["healthy"], 10, "b's problem")
    b.bus.send(classic(3, b"stranger"))
    assert a.bus.receive(1, 0.5) == []
    assert (a.health()["connections"], a.health()["hosts"]) == (0, [])
