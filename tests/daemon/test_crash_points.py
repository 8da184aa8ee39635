"""The plugin is killed before and after every single thing that it does.

Each scenario is run once for every moment there is: the process dies there, the
engine goes on as it does after a broken call, a new process starts, and then
the promises must hold; what failed is tried again, and at last the engine
removes everything and nothing of evercan's may be left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from evercan.libnetwork import transaction
from evercan.model.controller import ControllerSettings
from tests.daemon.conftest import KILL_POINTS
from tests.support.fuse import Fuse, files_that_burn
from tests.support.crashing_host import CONTROLLER, Host


def _nothing(_: Host) -> None:
    pass


Act = Callable[[Host], None]


@dataclass(frozen=True)
class Scenario:
    """What is under way when the process dies, and how the world goes on.

    Attributes:
        before: leads to the scenario; nobody dies yet.
        act: during this the process dies, or right after it.
        unanswered: what the engine does when ``act`` broke off, the next process running.
        answered: the same, when ``act`` was answered before the process died.
        meanwhile: what happens while there is no process.
        again: what the user then does.
        forgets_networks: the engine may forget a network that evercan has on record.
    """

    before: Act
    act: Act
    unanswered: Act = _nothing
    answered: Act = _nothing
    meanwhile: Act = _nothing
    again: Act = _nothing
    forgets_networks: bool = False


# --- the engine's calls ------------------------------------------------------------------


def two_containers(host: Host) -> None:
    network = host.create_network("vcan0")
    host.start(network)
    host.start(network)


def one_more_container(host: Host) -> None:
    host.start(next(iter(host.networks)))


def created(host: Host) -> None:
    two_containers(host)
    host.create_endpoint(next(iter(host.networks)))


def created_with_a_name(host: Host) -> None:
    two_containers(host)
    host.create_endpoint(next(iter(host.networks)), "engine")


def last(host: Host) -> str:
    return list(host.places)[-1]


def join_last(host: Host) -> None:
    host.join(last(host))


def take_last(host: Host) -> None:
    host.take(last(host))


def join_and_take_last(host: Host) -> None:
    host.join(last(host))
    host.take(last(host))


def take_last_if_offered(host: Host) -> None:
    place = host.places[last(host)]
    if place.source:
        host.take(place.endpoint)


def delete_last(host: Host) -> None:
    host.delete_endpoint(last(host))


def leave_and_delete_last(host: Host) -> None:
    host.leave(last(host))
    host.delete_endpoint(last(host))


def leave_last(host: Host) -> None:
    host.leave(last(host))


def hand_back_last(host: Host) -> None:
    host.hand_back(last(host))


def hand_back_and_delete_last(host: Host) -> None:
    host.call(host.queue.check())
    host.hand_back(last(host))
    host.call(host.queue.check())
    host.delete_endpoint(last(host))


def left_last(host: Host) -> None:
    two_containers(host)
    host.leave(last(host))
    host.hand_back(last(host))


def creating(bus: str, *, beside: bool = True) -> dict[str, Act | bool]:
    def use_it(host: Host) -> None:
        host.start(host.create_network(bus))

    return {
        "before": two_containers if beside else _nothing,
        "act": lambda host: void(host.create_network(bus)),
        "again": use_it,
        "forgets_networks": True,
    }


def void(_: object) -> None:
    """Take an answer that nobody needs."""


def two_networks(*buses: str) -> Act:
    def make(host: Host) -> None:
        for bus in buses:
            host.create_network(bus)
        host.start(next(iter(host.networks)))

    return make


def delete_last_network(host: Host) -> None:
    host.delete_network(list(host.networks)[-1])


CALLS = {
    "CreateNetwork, the first": Scenario(**creating("vcan0", beside=False)),  # type: ignore[arg-type] # heterogeneous
    "CreateNetwork": Scenario(**creating("vcan1")),  # type: ignore[arg-type] # the same
    "CreateNetwork on another's bus": Scenario(**creating("vcan0")),  # type: ignore[arg-type] # the same
    "CreateNetwork on a vcan that is there": Scenario(**creating("vcan9")),  # type: ignore[arg-type] # the same
    "CreateNetwork on a controller": Scenario(**creating("can9")),  # type: ignore[arg-type] # the same
    "CreateNetwork that sets a controller": Scenario(**creating(CONTROLLER)),  # type: ignore[arg-type] # the same
    "CreateEndpoint": Scenario(
        before=two_containers,
        act=lambda host: void(host.create_endpoint(next(iter(host.networks)))),
        answered=join_and_take_last,
        again=one_more_container,
    ),
    "Join, the engine up to 28": Scenario(
        before=created,
        act=join_last,
        unanswered=delete_last,
        answered=take_last,
        again=one_more_container,
    ),
    "Join, the engine from 29": Scenario(
        before=created,
        act=join_last,
        unanswered=leave_and_delete_last,
        answered=take_last,
        again=one_more_container,
    ),
    "Join of a named end, the engine up to 28": Scenario(
        before=created_with_a_name,
        act=join_last,
        unanswered=delete_last,
        answered=take_last,
        again=one_more_container,
    ),
    "Join of a named end, taken while nobody looks": Scenario(
        before=created_with_a_name,
        act=join_last,
        meanwhile=take_last_if_offered,
        unanswered=delete_last,
        again=one_more_container,
    ),
    "Join, taken while nobody looks": Scenario(
        before=created,
        act=join_last,
        meanwhile=take_last_if_offered,
        unanswered=delete_last,
        again=one_more_container,
    ),
    "Leave, handed back while nobody looks": Scenario(
        before=two_containers,
        act=leave_last,
        meanwhile=hand_back_last,
        unanswered=delete_last,
        answered=delete_last,
        again=one_more_container,
    ),
    "Leave, handed back later": Scenario(
        before=two_containers,
        act=leave_last,
        unanswered=hand_back_and_delete_last,
        answered=hand_back_and_delete_last,
        again=one_more_container,
    ),
    "DeleteEndpoint": Scenario(before=left_last, act=delete_last, again=one_more_container),
    "DeleteEndpoint of what never joined": Scenario(
        before=created, act=delete_last, again=one_more_container
    ),
    "DeleteNetwork": Scenario(
        before=two_networks("vcan0", "vcan1"),
        act=delete_last_network,
        again=lambda host: void(host.start(host.create_network("vcan1"))),
        forgets_networks=True,
    ),
    "DeleteNetwork on a shared bus": Scenario(
        before=two_networks("vcan0", "vcan0"), act=delete_last_network, forgets_networks=True
    ),
    "DeleteNetwork on a controller": Scenario(
        before=two_networks("vcan0", "can9"), act=delete_last_network, forgets_networks=True
    ),
}


# --- repairs ----------------------------------------------------------------------------


def three_containers(host: Host) -> None:
    two_containers(host)
    one_more_container(host)
    assert host.call(host.queue.check())  # it learns where the containers are


def delete_pair(host: Host) -> None:
    host.kernel.delete(host.places[last(host)].host_end)


def delete_two_pairs(host: Host) -> None:
    for place in list(host.places.values())[:2]:
        host.kernel.delete(place.host_end)


def delete_bus(host: Host) -> None:
    host.kernel.delete("vcan0")


def flush(host: Host) -> None:
    host.kernel.flush_rules()


def double(host: Host) -> None:
    for rule in host.kernel.observe().rules:
        host.kernel.add_rule(rule)


def bring_down(host: Host) -> None:
    host.kernel.set_flag("vcan0", up=False)
    host.kernel.set_flag(host.places[last(host)].host_end, up=False)


def everything(host: Host) -> None:
    for each in (flush, delete_bus, delete_pair):
        each(host)


def check(host: Host) -> None:
    host.call(host.queue.check())


def restart_what_is_degraded(host: Host) -> None:
    for endpoint in host.degraded & set(host.places):
        network = host.places[endpoint].network
        host.stop(endpoint)
        host.start(network)


def after(damage: Act) -> Act:
    def before(host: Host) -> None:
        three_containers(host)
        damage(host)

    return before


def while_away(damage: Act) -> Act:
    def before(host: Host) -> None:
        three_containers(host)
        host.die()
        damage(host)

    return before


DAMAGES: dict[str, Act] = {
    "a pair deleted": delete_pair,
    "two pairs deleted": delete_two_pairs,
    "the bus deleted": delete_bus,
    "the rules flushed": flush,
    "every rule doubled": double,
    "interfaces brought down": bring_down,
    "all at once": everything,
}
REPAIRS = {
    f"repair: {name}": Scenario(before=after(damage), act=check, again=restart_what_is_degraded)
    for name, damage in DAMAGES.items()
}


def on_a_controller(host: Host) -> None:
    network = host.create_network(CONTROLLER)
    host.start(network)
    host.start(network)
    check(host)


def plug_anew(host: Host) -> None:
    host.kernel.delete(CONTROLLER)
    host.kernel.plug(CONTROLLER)


def set_otherwise(host: Host) -> None:
    host.kernel.set_flag(CONTROLLER, up=False)
    host.kernel.set_up_controller(CONTROLLER, ControllerSettings(bitrate=250_000))


def name_and_delete_pair(host: Host) -> None:
    endpoint = host.create_endpoint(next(iter(host.networks)), "engine")
    host.join(endpoint)
    host.take(endpoint)
    check(host)
    host.kernel.delete(host.places[endpoint].host_end)


def controller_after(damage: Act, *, away: bool) -> Act:
    def before(host: Host) -> None:
        on_a_controller(host)
        if away:
            host.die()
        damage(host)

    return before


CONTROLLER_DAMAGES: dict[str, Act] = {
    "a controller plugged in anew": plug_anew,
    "a controller set otherwise": set_otherwise,
}
REPAIRS |= {
    f"repair: {name}": Scenario(before=controller_after(damage, away=False), act=check)
    for name, damage in CONTROLLER_DAMAGES.items()
} | {
    "repair: a named pair deleted": Scenario(
        before=after(name_and_delete_pair), act=check, again=restart_what_is_degraded
    )
}


def begin(host: Host) -> None:
    host.begin()


STARTS = {
    f"start: {name}": Scenario(before=while_away(damage), act=begin, again=restart_what_is_degraded)
    for name, damage in DAMAGES.items()
} | {
    f"start: {name}": Scenario(before=controller_after(damage, away=True), act=begin)
    for name, damage in CONTROLLER_DAMAGES.items()
}


# --- the sweep --------------------------------------------------------------------------


def live_through(scenario: Scenario, folder: Path, fuse: Fuse, moment: int) -> bool:
    """Die at one moment and go on; return whether a network was in doubt."""
    host = Host(folder, fuse)
    scenario.before(host)
    fuse.light(moment)
    scenario.act(host)
    died = fuse.burnt
    host.die()
    scenario.meanwhile(host)
    assert host.begin()
    (scenario.unanswered if died else scenario.answered)(host)
    host.judge()
    doubt = bool(host.in_doubt)
    assert scenario.forgets_networks or not doubt
    scenario.again(host)
    host.judge()
    assert not host.degraded, "it is degraded for good"
    host.remove_all()
    host.die()
    return doubt


SCENARIOS = CALLS | REPAIRS | STARTS


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_wherever_the_process_dies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(transaction, "_ROLLBACK_WAIT", 0.0)
    tally = pytestconfig.stash[KILL_POINTS]
    lost: list[str] = []
    for moment in count(1):
        folder, fuse = tmp_path / str(moment), Fuse()
        folder.mkdir()
        tally["tried"] += 1
        try:
            with files_that_burn(fuse):
                tally["in doubt"] += live_through(SCENARIOS[name], folder, fuse, moment)
        except AssertionError as error:
            lost.append(f"moment {moment}: {error}")
        if fuse.moments < moment:
            break  # there is no such moment: it died after all was done
    tally["lost"] += len(lost)
    assert not lost, "\n".join(lost)
