"""The link codec is loaded with a substitute for pyroute2's package, and stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

SOURCE = Path(__file__).parents[3] / "src"

# Prints the bytes of every request, and which modules were loaded.
ENCODE = """
import json, sys
from evercan.kernel import links
messages = [
    links.make_vcan("vcan0"), links.make_pair("vxcan1", "vxcan1p"), links.bring_up("vcan0"),
]
print(json.dumps({
    "bytes": [message.payload.hex() for message in messages],
    "modules": sorted(name for name in sys.modules if name.partition(".")[0] == "pyroute2"),
}))
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def slim() -> dict[str, list[str]]:
    return dict(orjson.loads(run(ENCODE)))


def test_the_codec_loads_with_the_substitute(slim: dict[str, list[str]]) -> None:
    assert "pyroute2.netlink.rtnl.ifinfmsg" in slim["modules"]
    assert all(slim["bytes"])


def test_it_encodes_what_the_whole_library_encodes(slim: dict[str, list[str]]) -> None:
    whole = orjson.loads(run(f"import pyroute2, pyroute2.iproute\n{ENCODE}"))
    assert slim["bytes"] == whole["bytes"]


def test_it_loads_a_fraction_of_the_library(slim: dict[str, list[str]]) -> None:
    whole = orjson.loads(run(f"import pyroute2\n{ENCODE}"))
    assert len(slim["modules"]) <= 60
    assert len(slim["modules"]) < len(whole["modules"]) / 2


@pytest.mark.parametrize("heavy", ["pyroute2.iproute", "pyroute2.ndb", "pyroute2.netns"])
def test_it_loads_no_socket_and_no_database(slim: dict[str, list[str]], heavy: str) -> None:
    assert not [name for name in slim["modules"] if name.startswith(heavy)]


def test_the_substitute_is_the_package_without_its_contents() -> None:
    seen = run(
        "from evercan.kernel.slim_pyroute2 import load_ifinfmsg\n"
        "load_ifinfmsg()\n"
        "print('IPRoute' in vars(sys.modules['pyroute2']))\n"
    )
    assert seen == "False\n"


def test_the_substitute_becomes_the_whole_package_when_more_is_used() -> None:
    seen = run(
        "from evercan.kernel.slim_pyroute2 import load_ifinfmsg\n"
        "codec = load_ifinfmsg()\n"
        "from pyroute2 import IPRoute\n"
        "from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg\n"
        "print(IPRoute.__name__, ifinfmsg is codec)\n"
    )
    assert seen == "IPRoute True\n"


def test_a_pyroute2_that_is_loaded_already_is_used_as_it_is() -> None:
    seen = run(
        "import pyroute2\n"
        "from evercan.kernel.slim_pyroute2 import load_ifinfmsg\n"
        "load_ifinfmsg()\n"
        "print(sys.modules['pyroute2'] is pyroute2, hasattr(pyroute2, 'IPRoute'))\n"
    )
    assert seen == "True True\n"


def test_what_the_vxcan_kind_needs_is_there() -> None:
    seen = run(
        "from evercan.kernel.slim_pyroute2 import load_ifinfmsg\n"
        "ifinfo = load_ifinfmsg().ifinfo\n"
        "print(ifinfo.veth_data.__name__, callable(ifinfo.register_link_kind))\n"
        "print([kind for _, kind in ifinfo.veth_data.nla_map])\n"
    )
    assert seen.startswith("veth_data True\n")
    assert "info_peer" in seen
