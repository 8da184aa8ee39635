"""Test the server of ``evercan web``: who may see what, and what snapshots have."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.access.databases import Databases
from evercan.cli.access.live import Live
from evercan.cli.commands.web import parse_address, read_token
from evercan.cli.errors import CliError, NoAnswer
from evercan.cli.pages import web
from evercan.cli.pages.web import Access, Server, Source
from evercan.cli.views.bits import bits_of_text
from evercan.cli.views.bus_traffic import IDS, BusTraffic
from evercan.cli.views.load import Bitrates, SampledBits
from evercan.cli.views.signal_history import SECONDS, SIGNALS, SignalHistory
from evercan.cli.views.traffic import BusFrame, CapturedFrame
from evercan.cli.views.web_document import bus_interfaces
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import named, network_document, overview_of, status_document
from tests.support.web_host import WebHost, host_end
from tests.unit.cli.test_decoding import CAR

TOKEN = "a-token-of-our-own-choice"  # noqa: S105 - of the tests
_PATIENCE = 30.0


@dataclass
class Scripted:
    """A source of snapshots that a test publishes."""

    on_snapshot: Any = field(default=lambda _: None)
    asked: list[list[str]] = field(default_factory=list)

    def history(self) -> dict[str, Any]:
        return {"vcan0": [(1.0, 2.0, None)]}

    def signals(self, keys: Any) -> dict[str, list[tuple[float, float]]]:
        self.asked.append(list(keys))
        return {key: [(1.0, 2.5)] for key in keys}


@asynccontextmanager
async def served(
    source: Source | None = None, access: Access | None = None
) -> AsyncIterator[tuple[aiohttp.ClientSession, str, Server]]:
    """Serve, and yield a browser that follows no redirect by itself."""
    server = Server(source or Scripted(), access or Access())
    port = await server.start("127.0.0.1", 0)
    jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of IP addresses too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        try:
            yield session, f"http://127.0.0.1:{port}", server
        finally:
            await server.close()


async def status_of(session: aiohttp.ClientSession, url: str, **more: Any) -> int:
    async with session.get(url, allow_redirects=False, **more) as answer:
        return answer.status


# --- who may see it -------------------------------------------------------------


PATHS = ("/", "/page.js", "/signals", "/events")


async def test_every_answer_forbids_what_the_page_does_not_need() -> None:
    async with served(access=Access(TOKEN)) as (session, url, _):
        for path in ("/", "/login", "/style.css", "/nothing", "/signals"):
            async with session.get(url + path, allow_redirects=False) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in answer.headers


async def test_without_a_token_nothing_is_shown_but_the_sign_in() -> None:
    source = Scripted()
    async with served(source, Access(TOKEN)) as (session, url, _):
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        for headers in ({}, wrong, {"Cookie": "evercan-web=1"}, {"Authorization": "Basic x"}):
            assert [await status_of(session, url + path, headers=headers) for path in PATHS] == [
                303, 401, 401, 401,
            ]  # fmt: skip
        assert await status_of(session, f"{url}/?token={TOKEN}x") == 303
        assert await status_of(session, f"{url}/signals") == 401
        async with session.get(url) as answer:
            assert "Token" in await answer.text()
        assert not source.asked


async def test_a_token_in_the_address_is_taken_once_and_removed_from_it() -> None:
    async with served(access=Access(TOKEN)) as (session, url, _):
        async with session.get(f"{url}/?token={TOKEN}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert TOKEN not in cookie
        assert await status_of(session, url) == 200


async def test_the_sign_in_takes_the_token_and_says_if_it_is_wrong() -> None:
    async with served(access=Access(TOKEN)) as (session, url, _):
        for given, location in (("wrong", "/login?wrong"), (f" {TOKEN}\n", "/")):
            posted = session.post(f"{url}/login", data={"token": given}, allow_redirects=False)
            async with posted as answer:
                assert (answer.status, answer.headers["Location"]) == (303, location)
        assert await status_of(session, f"{url}/signals") == 200
        too_long = session.post(f"{url}/login", data={"token": "x" * 10_000})
        async with too_long as answer:
            assert answer.status == 413


async def test_a_program_gives_the_token_in_a_header() -> None:
    async with served(access=Access(TOKEN)) as (session, url, _):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert await status_of(session, f"{url}/signals", headers=headers) == 200


async def test_the_token_of_an_open_server_is_not_empty() -> None:
    assert not Access(TOKEN).is_token("")
    async with served() as (session, url, _):
        assert await status_of(session, f"{url}/?token=") == 200
        async with session.post(f"{url}/login", data={"token": ""}, allow_redirects=False) as got:
            assert "Set-Cookie" not in got.headers


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:8765", True),
        ("127.0.0.1:8765", True),
        ("10.1.2.3", True),
        ("[::1]:8765", True),
        ("[fe80::1]", True),
        ("gateway.lan:8765", True),
        ("Gateway.lan.", True),
        ("evil.example:8765", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8765", False),
        ("", False),
        (":8765", False),
        ("[::1", True),
    ],
)
def test_a_host_header_has_to_name_this_host(host: str, known: bool) -> None:
    assert Access(names=["gateway.lan"]).names_this_host(host) is known


async def test_another_name_for_this_host_is_rejected_for_every_path() -> None:
    source = Scripted()
    async with served(source) as (session, url, _):
        headers = {"Host": "evil.example"}
        for path in (*PATHS, "/login", "/style.css"):
            assert await status_of(session, url + path, headers=headers) == 421
        assert not source.asked


async def test_nothing_can_be_changed() -> None:
    async with served() as (session, url, _):
        for path in PATHS:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                async with session.request(method, url + path) as answer:
                    assert answer.status == 405


@pytest.mark.parametrize("path", ["/../web.py", "/%2e%2e/web.py", "/login.html", "/web_page/"])
async def test_only_the_files_of_the_page_are_served(path: str) -> None:
    async with served() as (session, url, _):
        assert await status_of(session, url + path) == 404


# --- its files --------------------------------------------------------------------


async def test_all_files_are_served_and_load_nothing_from_elsewhere() -> None:
    folder = Path(web.__file__).parent / "web_page"
    async with served() as (session, url, _):
        names = {path.name for path in folder.iterdir()}
        assert names == {name for name, _ in web._FILES.values()} | {"login.html"}
        for path, (name, kind) in web._FILES.items():
            async with session.get(url + path) as answer:
                assert answer.status == 200
                assert answer.content_type == kind
                text = await answer.text()
            assert text == (folder / name).read_text()
            outside = text.replace('"http://www.w3.org/2000/svg"', "")
            assert "//" not in outside.replace("// ", "")  # comments
            assert "innerHTML" not in text
            assert " style=" not in text


# --- the stream -------------------------------------------------------------------


async def events_of(answer: aiohttp.ClientResponse, number: int) -> list[tuple[str, Any]]:
    """Read events of a stream."""
    found: list[tuple[str, Any]] = []
    while len(found) < number:
        text = (await asyncio.wait_for(answer.content.readuntil(b"\n\n"), _PATIENCE)).decode()
        kind, data = text.strip().split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_page_gets_the_history_and_then_each_snapshot() -> None:
    source = Scripted()
    async with served(source) as (session, url, _), session.get(f"{url}/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert await events_of(answer, 1) == [("history", {"vcan0": [[1.0, 2.0, None]]})]
        # A line break in a name does not end an event.
        source.on_snapshot({"name": "a\n\nevent: x"})
        assert await events_of(answer, 1) == [("snapshot", {"name": "a\n\nevent: x"})]


async def test_a_snapshot_is_not_written_if_no_page_is_open() -> None:
    source = Scripted()
    async with served(source) as (session, url, server):
        pages = server._pages
        assert pages is not None
        source.on_snapshot({"number": 1})
        async with session.get(f"{url}/events") as answer:
            await events_of(answer, 1)
        assert pages._latest == b""
        deadline = time.monotonic() + _PATIENCE
        number = 0
        while pages._open:  # a page that was closed is noticed when something is written
            assert time.monotonic() < deadline
            source.on_snapshot({"number": (number := number + 1)})
            await asyncio.sleep(0.01)
        before = pages._latest
        source.on_snapshot({"number": 99})
        await asyncio.sleep(0.05)
        assert pages._latest == before


async def test_a_page_that_takes_nothing_is_disconnected_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "_STALLED", 0.3)
    source = Scripted()
    async with served(source) as (session, url, server):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert server._pages is not None
        async with session.get(f"{url}/events") as answer:
            await events_of(answer, 1)
            assert server._pages._open == 2
            deadline = time.monotonic() + _PATIENCE
            number = 0
            while server._pages._open == 2:
                assert time.monotonic() < deadline
                source.on_snapshot({"number": (number := number + 1), "much": "x" * 500_000})
                await asyncio.wait_for(answer.content.readuntil(b"\n\n"), _PATIENCE)
        writer.close()


async def test_more_pages_than_allowed_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_STREAMS", 1)
    async with served() as (session, url, _), session.get(f"{url}/events") as answer:
        await events_of(answer, 1)
        assert await status_of(session, f"{url}/events") == 503


async def test_open_pages_do_not_keep_the_server_from_ending() -> None:
    async with served() as (session, url, server), session.get(f"{url}/events") as answer:
        await events_of(answer, 1)
        await asyncio.wait_for(server.close(), 5)
        assert await answer.content.read() == b""


async def test_signals_are_asked_for_by_their_keys() -> None:
    source = Scripted()
    async with served(source) as (session, url, _):
        keys = [("key", "vcan0/a b/123/Speed"), ("key", "ö&=/x")]
        async with session.get(f"{url}/signals", params=keys) as answer:
            assert await answer.json() == {"vcan0/a b/123/Speed": [[1.0, 2.5]], "ö&=/x": [[1, 2.5]]}
        many = [("key", str(number)) for number in range(200)]
        async with session.get(f"{url}/signals", params=many) as answer:
            assert len(await answer.json()) == 64


# --- snapshots --------------------------------------------------------------------


def snapshot_of(
    host: WebHost, *files: str, bitrates: Bitrates | None = None, enough: Any = None
) -> tuple[dict[str, Any], Live]:
    """Follow a host until a snapshot is enough; return that and what has followed."""
    found: list[dict[str, Any]] = []
    live = Live(host, Databases(files), bitrates or Bitrates())
    live.on_snapshot = found.append
    live.start()
    try:
        deadline = time.monotonic() + _PATIENCE
        while not (found and (enough or _has_rates)(found[-1])):
            assert live.error is None
            assert time.monotonic() < deadline, found[-1:]
            time.sleep(0.05)
    finally:
        live.close()
    return found[-1], live


def _has_rates(snapshot: dict[str, Any]) -> bool:
    bus = snapshot["buses"][0]
    return bool(snapshot["ids"]) and bus["moment"] and bus["members"][0]["sent_rate"] is not None


def test_a_snapshot_has_buses_members_rates_and_ids_with_their_senders() -> None:
    snapshot, live = snapshot_of(WebHost(rate=300), CAR, bitrates=Bitrates(500_000))
    (bus,) = snapshot["buses"]
    assert (bus["interface"], bus["networks"], bus["state"]) == ("vcan0", ("powertrain",), "up")
    assert bus["speed"] == "500 kbit/s"
    assert bus["rate"] == pytest.approx(300, rel=0.5)
    assert 0.01 < bus["load"] < 0.2
    assert [member["name"] for member in bus["members"]] == ["dashboard", "gateway", "logger"]
    for member in bus["members"]:
        assert member["sent_rate"] == pytest.approx(100, rel=0.3)
        assert member["received_rate"] == pytest.approx(200, rel=0.3)
    assert {id_["sender"] for id_ in snapshot["ids"]} == {"dashboard", "gateway", "logger"}
    assert (snapshot["problems"], snapshot["lost"], snapshot["databases"]) == ([], 0, True)
    (history,) = live.history().values()
    assert history[-1] == (bus["moment"], bus["rate"], bus["load"])
    json.dumps(snapshot, allow_nan=False)


def test_signals_of_all_pages_of_a_multiplexed_message_are_there_and_have_a_past() -> None:
    def enough(snapshot: dict[str, Any]) -> bool:
        diagnosis = [id_ for id_ in snapshot["ids"] if id_.get("message") == "Diagnosis"]
        return bool(diagnosis) and len(diagnosis[0]["signals"]) >= 4

    snapshot, live = snapshot_of(WebHost(rate=300), CAR, enough=enough)
    found = {signal[1]: signal for id_ in snapshot["ids"] for signal in id_.get("signals", ())}
    assert {"EngineSpeed", "Gear", "Page", "Voltage", "Current", "Sub"} <= set(found)
    key, _, text, number = found["EngineSpeed"]
    assert (key, text) == ("vcan0/dashboard/123/EngineSpeed", f"{number:.12g} rpm")
    assert found["Gear"][2] in ("Neutral", "First", "Second gear")
    past = live.signals([key, "vcan0/nobody/123/EngineSpeed"])
    assert list(past) == [key]
    at, value = past[key][-1]
    assert at == pytest.approx(snapshot["time"], abs=1)
    assert value == number


def test_without_a_database_ids_are_raw() -> None:
    snapshot, _ = snapshot_of(WebHost(rate=300))
    assert not snapshot["databases"]
    assert not [id_ for id_ in snapshot["ids"] if "message" in id_]
    (frame,) = [id_ for id_ in snapshot["ids"] if id_["id"] == "123"]
    assert len(frame["data"].split()) == frame["length"] == 8


def test_problems_limits_faults_and_errors_are_in_it() -> None:
    def enough(snapshot: dict[str, Any]) -> bool:
        chassis = snapshot["buses"][-1]
        return bool(chassis["load"]) and any("last error" in fact for fact in chassis["facts"])

    snapshot, _ = snapshot_of(WebHost(members=6, rate=900, troubled=True), CAR, enough=enough)
    failed, warned = snapshot["problems"]
    assert (failed["verdict"], failed["about"]) == ("fail", "powertrain")
    assert failed["remedy"].startswith("docker restart ")
    assert (warned["verdict"], warned["kind"]) == ("warn", "fault-injected")
    assert warned["remedy"] == "evercan fault clear powertrain"
    powertrain, chassis = snapshot["buses"]
    assert (powertrain["faults"], chassis["faults"]) == (1, 0)
    members = {member["name"]: member for member in powertrain["members"]}
    limited = [member for member in members.values() if member["limits"]]
    assert "at most 200 frames/s" in limited[0]["limits"]
    assert limited[0]["denied"] == "denied: 20 sent, 0 received"
    assert {"ok", "fail", "rest"} <= {member["style"] for member in members.values()}
    assert chassis["state"] == "error-passive"
    counters, last = chassis["facts"]
    assert counters == "error counters 128 tx, 12 rx"
    assert "many errors while sending" in last or "error-passive" in last
    assert {id_["bus"] for id_ in snapshot["ids"]} == {"vcan0", "can1"}


def test_what_a_member_with_limits_sends_arrives_at_its_filter_interface() -> None:
    class Limited(WebHost):
        def _network(self, *arguments: Any, **named: Any) -> dict[str, Any]:
            network = super()._network(*arguments, **named)
            own = network["endpoints"][0]
            own["access"] = {"send": "all", "receive": "all", "filter_interface": "vxfilter"}
            return network

        def _frame(self, number: int, stamp: float) -> Any:
            yield f"({stamp:.6f}) vxfilter 123#{number & 0xFF:02X} R"
            yield f"({stamp:.6f}) vcan0 123#{number & 0xFF:02X} R"

    snapshot, _ = snapshot_of(Limited())
    assert [id_["sender"] for id_ in snapshot["ids"]] == ["dashboard"]


def test_frames_of_a_container_that_joins_wait_until_its_name_is_known() -> None:
    class Joining(WebHost):
        joined = 0.0

        def read(self) -> Any:
            self.members = 1 if time.time() < self.joined else 2
            return super().read()

        def _frame(self, number: int, stamp: float) -> Any:
            self.joined = self.joined or time.time() + 0.5
            end = host_end("gateway")
            yield f"({stamp:.6f}) {end} 321#{number & 0xFF:02X} R"
            yield f"({stamp:.6f}) vcan0 321#{number & 0xFF:02X} R"

    # The frames of somebody else's interface are not waited for again and again.
    snapshot, live = snapshot_of(Joining(members=1), enough=lambda snapshot: bool(snapshot["ids"]))
    assert [id_["sender"] for id_ in snapshot["ids"]] == ["gateway"]
    assert not live._others


def test_interfaces_of_other_networks_are_left_out() -> None:
    class Others(WebHost):
        def _frame(self, number: int, stamp: float) -> Any:
            yield from super()._frame(number, stamp)
            yield f"({stamp:.6f}) vcan7 777#01 R"

    snapshot, live = snapshot_of(Others())
    assert "777" not in {id_["id"] for id_ in snapshot["ids"]}
    assert live._others == {"vcan7"}


def test_frames_and_status_fail_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evercan.cli.access.live.RETRY", 0.1)
    monkeypatch.setattr("evercan.cli.access.live._REFRESH", 0.05)
    host = WebHost()

    def enough(snapshot: dict[str, Any]) -> bool:
        if not seen and snapshot["ids"]:
            host.status_error = NoAnswer("plugin does not answer")
            host.frames_error = CliError("candump has ended", "start it")
            seen.append("broken")
        failed = snapshot["status_failed"], snapshot["frames_failed"]
        if seen == ["broken"] and all(failed):
            assert failed == ("plugin does not answer", "candump has ended; start it")
            assert snapshot["buses"][0]["members"]
            host.status_error = host.frames_error = None
            seen.append("back")
        return seen == ["broken", "back"] and not any(failed)

    seen: list[str] = []
    snapshot_of(host, enough=enough)


def test_lost_frames_are_counted() -> None:
    class Slow(WebHost):
        def _frame(self, number: int, stamp: float) -> Any:
            if number == 5:
                yield "DROPCOUNT: dropped 12 CAN frames"
            yield from super()._frame(number, stamp)

    snapshot, _ = snapshot_of(Slow())
    assert snapshot["lost"] == 12


def test_lines_that_are_not_counted_in_time_are_lost_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.access.live._WAITING", 10)

    class Flood(WebHost):
        def lines(self) -> Any:
            for number in range(1000):
                yield f"({number}.000000) vcan0 123#{number & 0xFF:02X} T"
            self.closed.wait(_PATIENCE)

    def enough(snapshot: dict[str, Any]) -> bool:
        return bool(snapshot["ids"])

    snapshot, _ = snapshot_of(Flood(), enough=enough)
    (id_,) = snapshot["ids"]
    assert id_["count"] + snapshot["lost"] == 1000
    assert snapshot["lost"] >= 900


def test_an_unexpected_error_is_kept_for_the_command() -> None:
    class Broken(WebHost):
        def lines(self) -> Any:
            raise ZeroDivisionError

    live = Live(Broken(), Databases([]))
    live.start()
    deadline = time.monotonic() + _PATIENCE
    while live.error is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    live.close()
    assert isinstance(live.error, ZeroDivisionError)


def test_an_absent_controller_has_no_bitrate_and_a_virtual_bus_the_given_one() -> None:
    given, real = Bitrates(250_000), {"state": "error-active", "bitrate": 500_000}
    overview = overview_of(
        named("powertrain", "dashboard"),
        named("tester", "gateway"),
        named("chassis", "abs", bus="can0", kind="physical", controller=real),
        named("trailer", bus="can1", kind="physical", present=False, up=False),
    )
    found = bus_interfaces([overview], given)
    assert {bus: bitrates.nominal for bus, (_, bitrates) in found.items()} == {
        "vcan0": 250_000,
        "can0": 500_000,
        "can1": 0,
    }
    assert sorted(found["vcan0"][0].values()) == ["dashboard", "gateway"]


# --- what is kept -----------------------------------------------------------------


def traffic(*frames: tuple[int, str], parts: bool = False) -> BusTraffic:
    seen = BusTraffic("vcan0", lambda _: parts)
    for stamp, text in frames:
        seen.push(CapturedFrame(stamp, "vcan0", text, local=True), 0.0)
    seen.settle(1.0)
    return seen


def test_the_ids_that_were_silent_for_longest_are_forgotten() -> None:
    seen = traffic(*((number, f"{number:08X}#") for number in range(IDS + 50)))
    kept = [view.frame.can_id for view in seen.ids()]
    assert kept == list(range(50, IDS + 50))


def test_different_frames_of_a_multiplexed_message_are_kept_until_they_are_taken() -> None:
    frames = [(number, f"123#0{number % 3}") for number in range(30)]
    seen = traffic(*frames, parts=True)
    taken = seen.take_parts()
    assert {frame.text for frame in taken["vcan0", "123"]} == {"123#00", "123#01", "123#02"}
    assert not seen.take_parts()
    endless = traffic(*((number, f"123#{number:04X}") for number in range(500)), parts=True)
    assert len(endless.take_parts()["vcan0", "123"]) == 16


def test_rate_and_load_of_the_time_since_the_last_second() -> None:
    seen = BusTraffic("can0", lambda _: False, Bitrates(500_000))
    seen.remember(10.0, 100.0)
    for number in range(1000):
        text = f"123#{number:016X}"
        seen.push(CapturedFrame(number, "can0", text, local=False), 10.0)
    seen.settle(11.0)
    seen.remember(12.0, 102.0)
    (moment,) = seen.history
    assert (moment.time, moment.rate) == (102.0, 500.0)
    bits = sum(bits_of_text(f"123#{number:016X}").nominal for number in range(1000))
    assert moment.load == pytest.approx(bits / 2 / 500_000, rel=0.02)
    assert seen.peak == moment.load


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=70, max_size=150))
def test_bits_by_samples_are_those_of_all_frames_within_a_few_percent(
    payloads: list[bytes],
) -> None:
    texts = [f"123#{payload.hex().upper()}" for payload in payloads]
    sampled, exact = SampledBits(), sum(bits_of_text(text).nominal for text in texts)
    assert sum(sampled.of(text).nominal for text in texts) == pytest.approx(exact, rel=0.2)


def test_bits_by_samples_tell_kinds_of_frames_apart() -> None:
    texts = ("123#1122", "123#R", "123##0AABB", "123##1AABB", "00000123#1122", "123#")
    sampled = SampledBits()
    for _ in range(20):
        for text in texts:
            assert sampled.of(text) == bits_of_text(text)


def test_the_history_of_signals_is_bounded() -> None:
    history = SignalHistory()
    for tick in range(4 * SECONDS * 2):
        history.add("a", tick / 4, float(tick))
    (points,) = history.points(["a", "b"]).values()
    assert points[-1] == (2 * SECONDS - 0.25, 8.0 * SECONDS - 1)
    assert points[0][0] >= SECONDS - 70
    now = 2.0 * SECONDS
    for number in range(SIGNALS + 20):
        history.add(f"s{number}", now, 1.0)
    assert len(history.points(["a", *(f"s{number}" for number in range(SIGNALS + 20))])) == SIGNALS
    history.add("later", 4.0 * SECONDS, 1.0)
    assert list(history.points(["a", "s1", "later"])) == ["later"]


def test_a_frame_that_the_database_cannot_decode_says_so() -> None:
    class Short(WebHost):
        def _frame(self, number: int, stamp: float) -> Any:
            yield f"({stamp:.6f}) vcan0 123#00{number & 0xFF:02X} T"

    snapshot, _ = snapshot_of(Short(), CAR)
    (id_,) = snapshot["ids"]
    assert (id_["sender"], id_["error"]) == ("vcan0", "2 of 8 bytes")
    assert [signal[1] for signal in id_["signals"]] == ["EngineSpeed"]
    assert BusFrame(1, "vcan0", "123#00").content.length == 1


# --- the command ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8765", ("127.0.0.1", 8765)),
        ("localhost:1", ("127.0.0.1", 1)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 - what a user writes
        ("[::1]:8765", ("::1", 8765)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "here", "here:80", "1.2.3:80", "127.0.0.1", "::1:80", "70000"]
)
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(CliError, match=r"--listen .*write 8765"):
        parse_address(text)


def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_token("") == ""
    monkeypatch.setenv("EVERCAN_WEB_TOKEN", TOKEN)
    assert read_token("") == TOKEN
    file = tmp_path / "token"
    file.write_text("another-token-in-a-file\n")
    assert read_token(str(file)) == "another-token-in-a-file"
    for content, words in (("short", "has 5 characters"), ("", "has 0 characters")):
        file.write_text(content)
        with pytest.raises(CliError, match=words):
            read_token(str(file))
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(CliError, match="it is not text"):
        read_token(str(file))
    with pytest.raises(CliError, match="cannot read --token-file"):
        read_token(str(tmp_path / "nothing"))
    monkeypatch.setenv("EVERCAN_WEB_TOKEN", "short")
    with pytest.raises(CliError, match="the token of EVERCAN_WEB_TOKEN has 5 characters"):
        read_token("")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--listen", "0.0.0.0:0"), "there is no token; give one of 16 characters"),
        (("--listen", "192.0.2.1:0", "--token-file", "TOKEN"), "cannot listen on 192.0.2.1:0"),
        (("nosuch",), 'no CAN network "nosuch"'),
        (("--dbc", "nothing.dbc"), "cannot read --dbc nothing.dbc"),
        (("--dbitrate", "2000000"), "--dbitrate needs --bitrate"),
    ],
)
def test_errors(powertrain: Host, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    ended = powertrain.run("web", *(str(file) if one == "TOKEN" else one for one in arguments))
    assert ended.status == 2
    assert words in " ".join(ended.err.split())


def test_without_the_extra_the_command_says_how_to_install_it(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "evercan.cli.pages.web")
    ended = powertrain.run("web")
    assert ended.status == 2
    assert "web needs the Python package aiohttp" in ended.err
    assert "'evercan[workbench]'" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_with_a_signal(host: Host, number: int) -> None:
    members = {"dashboard": engine_id("dashboard")}
    host.engine(
        [network_entry(engine_id("powertrain"), "powertrain", members)],
        [plugin_entry("evercan:latest")],
    )
    host.plugin(status_document(network_document("powertrain", 1)))
    with host.terminal("web", "--listen", "127.0.0.1:0") as terminal:
        terminal.wait_for("/  (Ctrl-C ends it)")
        terminal.send(number)
        assert terminal.ends() == 0
