"""Test that frames are decoded by databases, and that broken databases are named."""

from __future__ import annotations

import builtins
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from cantools.database.can import Message, Signal
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.access.databases import Databases, decode
from evercan.cli.errors import CliError
from evercan.cli.views.decoding import Decoded, SignalValue
from evercan.cli.views.frame import Frame, parse_frame
from tests.support.evercan_host import Host
from tests.unit.cli.conftest import frames_of

FOLDER = Path(__file__).parent / "databases"
FILES = [str(path) for path in sorted(FOLDER.iterdir()) if path.suffix != ".txt"]
CAR = str(FOLDER / "car.dbc")
CASES = [
    tuple((line + " ").split(maxsplit=1))
    for line in (FOLDER / "cases.txt").read_text().splitlines()
    if line and not line.startswith("#")
]

ENGINE_DATA = (
    "EngineData(EngineSpeed: 1024 rpm, CoolantTemperature: 90 degC, Gear: Second gear, "
    "Throttle: 12.8 %)"
)


@pytest.fixture(scope="module")
def databases() -> Databases:
    return Databases(FILES)


@pytest.mark.parametrize(
    ("text", "decoded"), [(case[0], "".join(case[1:]).strip()) for case in CASES]
)
def test_frames_are_decoded(databases: Databases, text: str, decoded: str) -> None:
    frame = parse_frame(text)
    assert frame is not None
    found = databases.decode(frame)
    assert ("" if found is None else str(found)) == decoded
    if found is not None:
        json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_json_has_value_unit_and_choice(databases: Databases) -> None:
    frame = parse_frame("123#001032020000")
    assert frame is not None
    decoded = databases.decode(frame)
    assert decoded is not None
    assert decoded.as_json() == {
        "message": "EngineData",
        "signals": {
            "EngineSpeed": {"value": 1024.0, "unit": "rpm"},
            "CoolantTemperature": {"value": 90, "unit": "degC"},
            "Gear": {"value": 2, "choice": "Second gear"},
            "Throttle": {"value": 0.0, "unit": "%"},
        },
        "decode_error": "6 of 8 bytes",
    }


def test_messages_in_a_container_frame_are_decoded() -> None:
    inner = Message(1, "Inner", 2, [Signal("Level", 0, 8)], header_id=0x0A0B0C)
    outer = Message(
        0x700,
        "Outer",
        64,
        [],
        contained_messages=[inner],
        header_byte_order="big_endian",
    )
    payload = bytes.fromhex("0A0B0C 02 2A00 0D0E0F 01 FF")
    assert decode(outer, payload) == Decoded(
        "Outer", (SignalValue("Inner.Level", 42), SignalValue("D0E0F", "FF"))
    )


@given(st.integers(0, 0x7FF), st.binary(max_size=64))
def test_no_payload_ends_the_command(can_id: int, data: bytes) -> None:
    databases = Databases([CAR])
    for extended in (False, True):
        databases.decode(Frame(can_id, data, extended=extended, length=len(data)))


def test_the_first_of_several_databases_is_used(tmp_path: Path) -> None:
    other = tmp_path / "other.dbc"
    other.write_text('VERSION ""\n\nBO_ 291 Other: 8 X\n SG_ A : 0|8@1+ (1,0) [0|0] "" X\n')
    frame = Frame(0x123, bytes(8), length=8)
    assert str(Databases([CAR, str(other)]).decode(frame)).startswith("EngineData(")
    assert str(Databases([str(other), CAR]).decode(frame)) == "Other(A: 0)"


def edited(name: str, old: str, new: str) -> str:
    """Return a database of this folder with one mistake."""
    text = (FOLDER / name).read_text()
    assert text.count(old) == 1, old
    return text.replace(old, new)


BROKEN = [
    ("x.dbc", 'VERSION ""\nBO_ 256 A B\n', "line 2, column 11", "BO_ 256 A >>!<<B"),
    ("x.dbc", 'VERSION ""\nBO_ 256 A: 8 B\n SG_ C : 0|8@\n', "line 3: SG_ C : 0|8@", "incomplete"),
    (
        "lights.sym",
        edited("lights.sym", "Var=VoltageRight unsigned 8,16 -m /u:V /f:0.01\n", "Var=V\n"),
        "line 25: Var=V",
        "incomplete",
    ),
    (
        "car.dbc",
        edited("car.dbc", "16|8@1- (1,40)", "16|x@1- (1,40)"),
        "line 16, column",
        "16|>>!<<x",
    ),
    ("car.dbc", edited("car.dbc", "24|3@1+", "24|0@1+"), "line 17: SG_ Gear", "message EngineData"),
    ("car.dbc", edited("car.dbc", "VAL_ 291 Gear", "VAL_ 291 Gaer"), "VAL_ 291 Gaer 0", "unused"),
    ("car.dbc", edited("car.dbc", 'BA_DEF_ BO_ "VF', 'BA_DEF_ BO_ "F'), "line 70: BA_", "'VFrame"),
    (
        "body.kcd",
        edited("body.kcd", '<Bus name="body">', "<Bus>"),
        "line 4: <Bus>",
        "'name' is missing",
    ),
    ("body.kcd", edited("body.kcd", 'id="0x302"', 'id="zz"'), 'line 22: <Message id="zz"', "'zz'"),
    (
        "body.kcd",
        edited("body.kcd", 'name="Heating" offset="8"', 'name="Heating"'),
        "line 16: <Signal",
        "",
    ),
    ("body.kcd", edited("body.kcd", "</MuxGroup>\n      </Mul", "</Mul"), "line 19, column", "tag"),
    ("body.kcd", "<NetworkDefinition", "line 1", "unclosed token"),
    ("lights.sym", edited("lights.sym", "/e:Beam", "/e:Baem"), "line 20: Var=BeamLeft", "'Baem'"),
    (
        "lights.sym",
        edited("lights.sym", "unsigned 0,8", "unsigned 0,x"),
        "line 12, column",
        ">>!<<x",
    ),
    (
        "lights.sym",
        edited("lights.sym", "=6.0", "=5.0"),
        "line 1: FormatVersion=5.0",
        "version 6.0",
    ),
    ("climate.arxml", "<AUTOSAR/>", "line 1: <AUTOSAR/>", "namespace"),
    (
        "climate.arxml",
        edited("climate.arxml", "<START-POSITION>71<", "<START-POSITION>7l<"),
        "line 65: <START-POSITION>7l",
        "'7l'",
    ),
    (
        "climate.arxml",
        edited("climate.arxml", "<V>1</V>", "<V>1</V><V>2</V>"),
        "line 128: <COMPU-SCALE>",
        "Expected 1 denominator",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "place", "reason"), BROKEN, ids=[f"{row[0]}:{row[2]}" for row in BROKEN]
)
def test_a_broken_database_is_an_error_with_its_line(
    tmp_path: Path, name: str, content: str, place: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CliError, match="DBC, ARXML, KCD and SYM") as caught:
        Databases([str(tmp_path / name)])
    text = str(caught.value)
    assert "is not a database of CAN messages" in text
    assert name in text
    assert re.search(r"\bline \d+", text), text
    assert place in text
    assert reason in text
    assert "\n" not in text


@pytest.mark.parametrize(("name", "content"), [("x.dbc", ""), ("x.txt", "nothing")])
def test_what_is_no_database_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CliError, match=f"{name} is not a database of CAN messages"):
        Databases([str(tmp_path / name)])


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_databases_are_read_in_the_encodings_that_programs_write(
    tmp_path: Path, encoding: str, line_end: str
) -> None:
    text = 'VERSION ""\n\nBO_ 291 Air: 1 X\n SG_ Heat : 0|8@1+ (1,0) [0|0] "°C" X\n'
    (tmp_path / "x.dbc").write_bytes(text.replace("\n", line_end).encode(encoding))
    decoded = Databases([str(tmp_path / "x.dbc")]).decode(Frame(0x123, b"\x07", length=1))
    assert str(decoded) == "Air(Heat: 7 °C)"


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16"])
def test_an_xml_database_is_read_in_the_encoding_that_it_declares(
    tmp_path: Path, encoding: str
) -> None:
    text = (FOLDER / "body.kcd").read_text().replace("UTF-8", encoding)
    (tmp_path / "x.kcd").write_bytes(text.encode(encoding))
    decoded = Databases([str(tmp_path / "x.kcd")]).decode(
        Frame(0x18FF0B02, bytes.fromhex("0101900000000000"), extended=True, length=8)
    )
    assert str(decoded) == "Seat(Page: 1, Heating: 0 °C)"


def test_a_missing_database_is_an_error() -> None:
    with pytest.raises(CliError, match=r"cannot read --dbc nowhere\.dbc"):
        Databases(["nowhere.dbc"])


def test_a_database_without_messages_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.dbc").write_text('VERSION ""\n')
    with pytest.raises(CliError, match="has no messages"):
        Databases([str(tmp_path / "x.dbc")])


def test_a_missing_extra_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "cantools":
            raise ModuleNotFoundError("No module named 'cantools'", name="cantools")
        return real(name, *rest)

    for module in [name for name in sys.modules if name.partition(".")[0] == "cantools"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CliError) as caught:
        Databases([CAR])
    assert str(caught.value) == (
        "--dbc needs the Python package cantools, which is missing; "
        "install it: pip install 'evercan[workbench]'"
    )


@pytest.fixture
def bus(powertrain: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    frames_of(
        monkeypatch,
        "(1790000000.000001) vcan0 123#0010320280FF0000 T",
        "(1790000000.000002) vcan0 777#01 T",
    )
    return powertrain


def test_dump_prints_decoded_frames_behind_the_raw_ones(bus: Host) -> None:
    ended = bus.run("dump", "powertrain", "--duration", "0.2", "--dbc", CAR)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"(1790000000.000001) vcan0 123#0010320280FF0000 :: {ENGINE_DATA}",
        "(1790000000.000002) vcan0 777#01",
    ]


def test_dump_adds_decoded_values_to_json(bus: Host) -> None:
    ended = bus.run("dump", "powertrain", "--duration", "0.2", "--dbc", CAR, "--json")
    assert (ended.status, ended.err) == (0, "")
    first, second = map(json.loads, ended.out.splitlines())
    assert (first["id"], first["message"]) == (0x123, "EngineData")
    assert first["signals"]["Gear"] == {"value": 2, "choice": "Second gear"}
    assert "message" not in second


def test_dump_reports_a_broken_database_before_it_connects(host: Host, tmp_path: Path) -> None:
    (tmp_path / "x.dbc").write_text('VERSION ""\nBO_ 256 A B\n')
    ended = host.run("dump", "powertrain", "--dbc", str(tmp_path / "x.dbc"))
    assert ended.status == 2
    assert "line 2, column 11" in ended.err
