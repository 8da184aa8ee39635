"""Test the commands for links: what they accept, show and write."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from evercan.cli import main
from evercan.cli.access.links import FoundLink
from evercan.cli.commands.link import document, lines, listen_address
from evercan.cli.commands.link_certs import certs
from evercan.cli.errors import CliError

RUNNING = FoundLink("1f", "evercan-link-powertrain", "powertrain", "running")
COUNTS = {"delivered": 7, "late": 0, "doubled": 0, "lost": 2, "failed": 0}
HEALTH: dict[str, Any] = {
    "healthy": True,
    "state": "active",
    "bus": "site",
    "host": "a",
    "connections": 2,
    "problems": [],
    "sent": {"frames": 9},
    "hosts": [
        {"host": "b", "links": 1, "round_trip_ms": 0.4, **COUNTS},
        {"host": "c", "links": 0, "round_trip_ms": None, **COUNTS},
    ],
}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("7447", ("", 7447)),
        ("10.0.0.5:7000", ("10.0.0.5", 7000)),
        ("10.0.0.5", ("10.0.0.5", 7447)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 7447)),
    ],
)
def test_an_address_to_listen_on_has_a_port(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize("text", ["host:1", "0", "70000", "1.2.3.4:70000", "a", "1.2.3.4:"])
def test_what_is_no_address_to_listen_on_is_named(text: str) -> None:
    with pytest.raises(CliError, match=r"is no address of this host; write \[ADDRESS:\]PORT"):
        listen_address(text)


def test_a_link_without_an_address_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "add", "powertrain"]) == 2
    assert "a link needs an address to listen on, or to connect to" in capsys.readouterr().err


def test_a_link_is_shown_with_its_hosts() -> None:
    assert lines(RUNNING, HEALTH) == [
        "powertrain: active, host a of bus site, 2 connected, 9 frames sent",
        "  b: round trip 0.4 ms, 7 delivered, 2 lost",
        "  c: not linked, 7 delivered, 2 lost",
    ]
    assert document(RUNNING, HEALTH)["health"] is HEALTH


def test_hosts_that_are_denied_and_frames_that_nobody_heard_are_shown() -> None:
    shown = lines(
        RUNNING, {**HEALTH, "denied_hosts": ["c", "d"], "sent": {"frames": 9, "unheard": 4}}
    )
    assert shown[1:3] == [
        "  denied: c, d; connected, and not in --allow",
        "  4 of the frames were sent while nobody was linked",
    ]


def test_problems_of_a_link_are_shown() -> None:
    problem = {"text": "there is no CAN interface", "remedy": "connect it"}
    unhealthy = {**HEALTH, "healthy": False, "problems": [problem]}
    assert "  problem: there is no CAN interface; connect it" in lines(RUNNING, unhealthy)
    assert lines(RUNNING, None) == [
        "powertrain: evercan-link-powertrain does not answer; docker logs evercan-link-powertrain"
    ]
    exited = FoundLink("1f", "x", "powertrain", "exited")
    assert lines(exited, None) == ["powertrain: x is exited; docker logs x"]


def test_certificates_are_of_one_authority_and_name_the_addresses(tmp_path: Path) -> None:
    certs(tmp_path, ["a=10.0.0.5,a.example", "b"], days=3)
    authority = (tmp_path / "ca.pem").read_bytes()
    certs(tmp_path, ["c"], days=3)
    assert (tmp_path / "ca.pem").read_bytes() == authority
    for host, names in (("a", "IP Address:10.0.0.5, DNS:a.example"), ("b", "DNS:b"), ("c", "")):
        assert (tmp_path / host / "ca.pem").read_bytes() == authority
        for file in (tmp_path / host / "link.key", tmp_path / "ca.key"):
            assert file.stat().st_mode & 0o77 == 0
        shown = subprocess.run(
            ["openssl", "x509", "-in", tmp_path / host / "link.pem", "-noout", "-text"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert names in shown
        subprocess.run(
            ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / host / "link.pem"],
            check=True,
        )


@pytest.mark.parametrize("host", ["a/b", "=1.2.3.4", "a=b c", "a=1;2"])
def test_a_host_that_is_written_wrongly_gets_no_certificate(tmp_path: Path, host: str) -> None:
    with pytest.raises(CliError, match="write NAME or NAME=ADDRESS,ADDRESS"):
        certs(tmp_path / "site", [host], days=3)
    assert not (tmp_path / "site").exists()
