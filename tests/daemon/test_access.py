"""Members with limits: their filter interface, its filters, and everything that befalls them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from evercan.model.access import Access, FilterCount, receive_filters, send_filters
from evercan.model.steps import MakeFilterInterface, MakePair, SetFilters
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.fake_kernel import FILTER_MODULES
from tests.support.http import exchange, request
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.scraping import scraped
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
GATEWAY, LOGGER = map(engine_id, ("gateway", "logger"))
LIMITS = {"vxcan.send": "123", "vxcan.send-rate": "100"}
ACCESS = Access("123", "all", 100, 10)


async def start_two(engine: Engine) -> tuple[Container, Container]:
    """Start a container with limits and one without."""
    await engine.create_network(NETWORK)
    return (
        await engine.start(NETWORK, GATEWAY, **LIMITS),
        await engine.start(NETWORK, LOGGER),
    )


def assert_limited(kernel: SharedKernel, *members: Container, access: Access = ACCESS) -> None:
    """Assert that the first member is connected by filters alone, and everything exists once."""
    first, *others = members
    observed = kernel.snapshot()
    host_end, between = (observed.links[first.host_end + end] for end in ("", "f"))
    assert observed.filters == {
        host_end.index: send_filters(access, between.index),
        between.index: receive_filters(access, host_end.index),
    }
    ends = [between.name, *(other.host_end for other in others)]
    assert_exactly_once(observed, "vcan0", *ends)
    touched = {end for rule in observed.rules for end in (rule.source, rule.target)}
    assert host_end.index not in touched, "a rule goes round the filters"


async def test_a_member_with_limits_is_connected_by_filters_alone(
    engine: Engine, kernel: SharedKernel
) -> None:
    limited, free = await start_two(engine)
    assert_limited(kernel, limited, free)


async def test_a_member_without_limits_has_nothing_further(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    free = await engine.start(NETWORK, LOGGER, **{"vxcan.send": "all"})
    observed = kernel.snapshot()
    assert observed.filters == {}
    assert free.host_end + "f" not in observed.links


async def test_the_networks_limits_are_the_default_of_its_members(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK, send="none")
    silent = await engine.start(NETWORK, GATEWAY)
    free = await engine.start(NETWORK, LOGGER, **{"vxcan.send": "all"})
    assert_limited(kernel, silent, free, access=Access(send="none"))


async def test_the_calls_of_a_limited_container_dump_nothing(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, LOGGER)
    before = kernel.calls["observe"]
    limited = await engine.start(NETWORK, GATEWAY, **LIMITS)
    await engine.stop(limited)
    assert kernel.calls["observe"] == before


async def test_nothing_is_left_of_a_limited_container(engine: Engine, kernel: SharedKernel) -> None:
    limited, free = await start_two(engine)
    await engine.stop(limited)
    observed = kernel.snapshot()
    assert observed.filters == {}
    assert not [name for name in observed.links if name.startswith(limited.host_end)]
    assert_exactly_once(observed, "vcan0", free.host_end)


@pytest.mark.parametrize("module", FILTER_MODULES)
async def test_a_kernel_without_a_module_rejects_the_container(
    engine: Engine, kernel: SharedKernel, module: str
) -> None:
    await engine.create_network(NETWORK)
    kernel.modules.discard(module)
    with pytest.raises(EngineError, match=rf"no {module}.*modprobe {module}"):
        await engine.start(NETWORK, GATEWAY, **LIMITS, **{"vxcan.receive": "none"})
    assert set(kernel.snapshot().links) == {"vcan0"}


async def test_a_burst_without_a_rate_is_rejected_at_the_endpoint(engine: Engine) -> None:
    await engine.create_network(NETWORK)
    with pytest.raises(EngineError, match=r"vxcan\.send-burst.*without vxcan\.send-rate"):
        await engine.start(NETWORK, GATEWAY, **{"vxcan.send-burst": "5"})


def flush(kernel: SharedKernel, limited: Container) -> None:
    kernel.flush_filters(limited.host_end)


def flush_what_is_received(kernel: SharedKernel, limited: Container) -> None:
    kernel.flush_filters(limited.host_end + "f")


def delete_filter_interface(kernel: SharedKernel, limited: Container) -> None:
    kernel.delete(limited.host_end + "f")


def delete_pair(kernel: SharedKernel, limited: Container) -> None:
    kernel.delete(limited.host_end)


def set_down(kernel: SharedKernel, limited: Container) -> None:
    kernel.set_flag(limited.host_end + "f", up=False)


@pytest.mark.parametrize(
    "damage", [flush, flush_what_is_received, delete_filter_interface, delete_pair, set_down]
)
async def test_what_somebody_removes_is_restored(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, damage: Any
) -> None:
    limited, free = await start_two(engine)
    await wait_until(
        lambda: all(end.phase == "joined" for end in plugin.declared.endpoints.values())
    )
    damage(kernel, limited)
    await plugin.restart()  # a kill and a start: the same pass as that of a check
    await engine.enable()
    if damage is delete_pair:
        return  # a new process does not know the namespace; tests/daemon/test_kill_points.py
    assert_limited(kernel, limited, free)
    assert (await engine.get("health")).status == 200


async def test_drift_of_filters_is_reported_and_left_with_fail_fast(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await plugin.stop()
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    await engine.enable()
    limited, _ = await start_two(engine)
    flush(kernel, limited)
    answer = (await engine.get("health")).document
    texts = [reason["text"] for reason in answer["reasons"]]
    assert [text for text in texts if f"the filters on {limited.host_end}" in text] == texts != []
    assert kernel.snapshot().filters[kernel.snapshot().links[limited.host_end].index] == ()


async def test_a_reboot_restores_the_limits_when_the_container_joins(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    limited, _ = await start_two(engine)
    await plugin.reboot("boot-2")
    await engine.enable()
    joined = await engine.join(NETWORK, GATEWAY)
    again = engine.move_inside(NETWORK, GATEWAY, joined)
    assert again.host_end == limited.host_end
    assert_limited(kernel, again)


async def test_adoption_takes_the_limits_from_the_engines_list(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK, send="none")
    limited = await engine.start(NETWORK, GATEWAY, **LIMITS)
    silent = await engine.start(NETWORK, LOGGER)
    before = kernel.snapshot()
    await plugin.stop()
    for file in plugin.state_folder.iterdir():
        file.unlink()
    await plugin.start()
    claim = {
        "NetworkID": NETWORK,
        "Options": {"vxcan.send": "none"},
        "Endpoints": [
            {"EndpointID": limited.endpoint, "Options": LIMITS},
            {"EndpointID": silent.endpoint},
        ],
    }
    taken = len(kernel.taken)
    body = orjson.dumps({"Networks": [claim], "Prune": []})
    answer = await exchange(engine.path, request("adopt", body))
    assert answer is not None
    assert answer.ok
    assert kernel.taken[taken:] == [], "what was there was changed"
    assert kernel.snapshot() == before
    known = plugin.declared.endpoints
    assert known[GATEWAY].access == ACCESS
    assert known[LOGGER].access == Access(send="none")


async def test_an_idle_filter_interface_of_a_lost_state_is_pruned(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.apply([MakePair("", "", "vxcan0000aaaa", "vxcan0000aaaap")])
    kernel.apply([MakeFilterInterface("", "", "vxcan0000aaaaf")])
    body = orjson.dumps({"Networks": [], "Prune": ["vxcan0000aaaa", "vxcan0000aaaaf"]})
    answer = await exchange(engine.path, request("adopt", body))
    assert answer is not None
    assert answer.ok
    assert kernel.snapshot().links == {}


def counted(
    kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch, counts: Mapping[str, FilterCount]
) -> None:
    """Let filters show what they have counted, by the name of their interface."""
    observe = kernel.observe

    def with_counts() -> Any:
        observed = observe()
        by_index = {observed.links[name].index: count for name, count in counts.items()}
        return type(observed)(
            links=observed.links,
            rules=observed.rules,
            filters=observed.filters,
            filter_counts=by_index,
            receivers=observed.receivers,
        )

    monkeypatch.setattr(kernel, "observe", with_counts)


async def test_what_is_denied_is_in_the_status_and_the_metrics(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited, _ = await start_two(engine)
    counts = {
        limited.host_end: FilterCount(denied=7, over_rate=5),
        limited.host_end + "f": FilterCount(denied=3),
    }
    counted(kernel, monkeypatch, counts)

    async def access() -> dict[str, Any]:
        status = (await engine.get("status")).document
        found = {end["endpoint"]: end["access"] for end in status["networks"][0]["endpoints"]}
        assert found[LOGGER] is None
        result: dict[str, Any] = found[GATEWAY]
        return result

    assert await access() == {
        "send": "123",
        "receive": "all",
        "send_rate": 100,
        "send_burst": 10,
        "filter_interface": limited.host_end + "f",
        "denied": {"send": 7, "receive": 3},
        "over_rate": 5,
    }
    counts[limited.host_end] = FilterCount(denied=2, over_rate=6)  # they were replaced
    assert (await access())["denied"] == {"send": 9, "receive": 3}
    assert (await access())["over_rate"] == 11
    text = await scraped(engine.path)
    sample = f'evercan_denied_frames_total{{bus="vcan0",endpoint="{GATEWAY[:12]}",reason="send"}}'
    assert f"{sample} 9.0" in text


async def test_denied_frames_are_logged_once(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await plugin.stop()
    plugin.health_interval = 0.02
    await plugin.start()
    await engine.enable()
    limited, _ = await start_two(engine)
    counts = {limited.host_end: FilterCount(denied=1)}
    counted(kernel, monkeypatch, counts)
    text = "sends frames that vxcan.send does not let it send"
    await wait_until(lambda: text in caplog.text)
    counts[limited.host_end] = FilterCount(denied=9)
    before = kernel.calls["observe"]
    await wait_until(lambda: kernel.calls["observe"] > before + 3)
    assert caplog.text.count(text) == 1


async def test_filters_are_set_before_the_rules_refer_to_them(
    engine: Engine, kernel: SharedKernel
) -> None:
    await start_two(engine)
    kinds = [type(step).__name__ for step in kernel.taken]
    assert kinds.index("SetFilters") < kinds.index("AddRules")
    assert sum(isinstance(step, SetFilters) for step in kernel.taken) == 2
