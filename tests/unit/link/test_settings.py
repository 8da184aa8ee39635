"""Test the link's environment and the configuration made from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.errors import SettingsError
from evercan.link.can_socket import NoInterface, can_interfaces, choose_interface
from evercan.link.settings import Settings, read_settings
from evercan.link.zenoh_config import session_config

MINIMUM = {"LINK_BUS": "powertrain", "LINK_HOST": "a", "LINK_LISTEN": "10.0.0.4"}


def certificates(folder: Path) -> Path:
    """Put files with the right names into a folder."""
    for name in ("ca.pem", "link.pem", "link.key"):
        (folder / name).touch()
    return folder


def test_few_variables_suffice() -> None:
    assert read_settings(MINIMUM) == Settings("powertrain", "a", listen=("tcp/10.0.0.4:7447",))


def test_every_variable_is_read(tmp_path: Path) -> None:
    folder = certificates(tmp_path)
    assert read_settings(
        {
            "LINK_BUS": "b",
            "LINK_HOST": "h",
            "LINK_LISTEN": "[::]:1, quic/h.example",
            "LINK_CONNECT": "tls/10.0.0.5:7000",
            "LINK_INTERFACE": "can1",
            "LINK_ALLOW": "x y",
            "LINK_DEADLINE": "20ms",
            "LINK_HTTP": "[::1]:80",
            "LINK_CERTS": str(folder),
            "LINK_LOG_LEVEL": "DEBUG",
            "LINK_PLAYOUT": "10",
            "LINK_RATE": "9000",
        }
    ) == Settings(
        *("b", "h", ("tls/[::]:1", "quic/h.example:7447"), ("tls/10.0.0.5:7000",), "can1"),
        *(20_000_000, ("::1", 80), folder, ("x", "y"), "debug"),
        playout=10_000_000,
        rate=9000,
    )


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"LINK_BUS": ""}, "LINK_BUS is not set"),
        ({"LINK_BUS": "a/b"}, "LINK_BUS='a/b' is no name"),
        ({"LINK_HOST": "*"}, "LINK_HOST='*' is no name"),
        ({"LINK_LISTEN": ""}, "neither LINK_LISTEN nor LINK_CONNECT is set"),
        ({"LINK_LISTEN": "a:99999"}, "LINK_LISTEN='a:99999' is no endpoint"),
        ({"LINK_LISTEN": "udp/a"}, "choose one of tcp, tls, quic"),
        ({"LINK_LISTEN": "tls/a"}, "needs certificates for tls; set LINK_CERTS"),
        ({"LINK_DEADLINE": "0"}, "LINK_DEADLINE='0' is no number of milliseconds"),
        ({"LINK_PLAYOUT": "-1"}, "LINK_PLAYOUT='-1' is no number of milliseconds"),
        ({"LINK_PLAYOUT": "100"}, "LINK_PLAYOUT='100' is not shorter than LINK_DEADLINE"),
        ({"LINK_RATE": "fast"}, "LINK_RATE='fast' is no number of frames per second"),
        ({"LINK_DEADLINE": "soon"}, "LINK_DEADLINE='soon' is no number of milliseconds"),
        ({"LINK_DEADLINE": "1.2.3"}, "LINK_DEADLINE='1.2.3' is no number of milliseconds"),
        ({"LINK_HTTP": "9481"}, "LINK_HTTP='9481' is no address"),
        ({"LINK_ALLOW": "b"}, "LINK_ALLOW needs certificates"),
        ({"LINK_CERTS": "/nowhere"}, "LINK_CERTS='/nowhere' has no ca.pem"),
        ({"LINK_LOG_LEVEL": "loud"}, "choose one of debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, str], mistake: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({**MINIMUM, **changes})
    assert mistake in str(error.value)


def test_all_mistakes_are_listed_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"LINK_DEADLINE": "x", "LINK_HTTP": "y", "LINK_HOST": "a"})
    assert [mistake.split("=")[0].split()[0] for mistake in error.value.mistakes] == [
        *("LINK_BUS", "LINK_DEADLINE", "LINK_HTTP"),
    ]


def test_an_unencrypted_endpoint_beside_certificates_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not encrypted, and LINK_CERTS is set"):
        read_settings(
            {**MINIMUM, "LINK_LISTEN": "tcp/a", "LINK_CERTS": str(certificates(tmp_path))}
        )


def test_a_session_searches_for_nobody_and_listens_nowhere_else() -> None:
    config = session_config(connect=["tcp/a:1"])
    assert config["listen/endpoints"] == []
    assert not config["scouting/multicast/enabled"]
    assert not config["scouting/gossip/enabled"]


def test_an_access_list_denies_by_default() -> None:
    listed = session_config(bus="b", allow=["x"])["access_control"]
    assert listed["default_permission"] == "deny"
    assert [rule["key_exprs"] for rule in listed["rules"]] == [["evercan/b/**"]]
    assert listed["subjects"] == [{"id": "hosts", "cert_common_names": ["x"]}]


def test_the_only_can_interface_is_used(tmp_path: Path) -> None:
    for name, kind in (("eth0", "1"), ("vcanp0", "280"), ("lo", "772")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
    assert can_interfaces(tmp_path) == ["vcanp0"]
    assert choose_interface("", ["vcanp0"]) == "vcanp0"
    assert choose_interface("b", ["a", "b"]) == "b"
    for wanted, present, reason in (
        ("", [], "there is no CAN interface"),
        ("", ["a", "b"], "LINK_INTERFACE must choose one of a, b"),
        ("c", ["a"], "there is no CAN interface c"),
    ):
        with pytest.raises(NoInterface, match=reason):
            choose_interface(wanted, present)
