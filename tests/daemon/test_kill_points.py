"""The plugin is killed before and after every request to the kernel and every file operation.

Each scenario is run once for every such moment: the process is killed there, the engine
does what it does after a call that got no answer, a new process starts, and then the kernel
must have everything that the engine has. What failed is tried again, and in the end the
engine removes everything, and nothing of evercan may be left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from evercan.libnetwork import transaction
from evercan.model.controller import ControllerSettings
from evercan.model.names import wire_names
from tests.daemon.conftest import KILL_POINTS
from tests.support.crashing_host import CONTROLLER, SLOW_BUS, CrashingHost
from tests.support.kill_points import KillPoint, files_with_kill_points


def _do_nothing(_: CrashingHost) -> None:
    pass


Act = Callable[[CrashingHost], None]


@dataclass(frozen=True)
class Scenario:
    """What happens before, during and after the moment at which the process is killed.

    Attributes:
        before: what happens first; the process is not killed in it.
        act: the process is killed during this, or right after it.
        unanswered: what the engine does after the restart if ``act`` got no answer.
        answered: what the engine does after the restart if ``act`` was answered.
        meanwhile: what happens while there is no process.
        again: what the user does then.
        forgets_networks: the engine may forget a network that is in the plugin's state.
    """

    before: Act
    act: Act
    unanswered: Act = _do_nothing
    answered: Act = _do_nothing
    meanwhile: Act = _do_nothing
    again: Act = _do_nothing
    forgets_networks: bool = False


# --- the engine's calls ------------------------------------------------------------------


def two_containers(host: CrashingHost) -> None:
    network = host.create_network("vcan0")
    host.start(network)
    host.start(network)


def start_another_container(host: CrashingHost) -> None:
    host.start(next(iter(host.networks)))


def created_endpoint(host: CrashingHost) -> None:
    two_containers(host)
    host.create_endpoint(next(iter(host.networks)))


def created_named_endpoint(host: CrashingHost) -> None:
    two_containers(host)
    host.create_endpoint(next(iter(host.networks)), "engine")


def last(host: CrashingHost) -> str:
    return list(host.attachments)[-1]


def join_last(host: CrashingHost) -> None:
    host.join(last(host))


def move_last_inside(host: CrashingHost) -> None:
    host.move_inside(last(host))


def join_and_move_last_inside(host: CrashingHost) -> None:
    host.join(last(host))
    host.move_inside(last(host))


def move_last_inside_if_joined(host: CrashingHost) -> None:
    attachment = host.attachments[last(host)]
    if attachment.source:
        host.move_inside(attachment.endpoint)


def delete_last(host: CrashingHost) -> None:
    host.delete_endpoint(last(host))


def leave_and_delete_last(host: CrashingHost) -> None:
    host.leave(last(host))
    host.delete_endpoint(last(host))


def leave_last(host: CrashingHost) -> None:
    host.leave(last(host))


def move_back_last(host: CrashingHost) -> None:
    host.move_back(last(host))


def move_back_and_delete_last(host: CrashingHost) -> None:
    host.call(host.queue.check())
    host.move_back(last(host))
    host.call(host.queue.check())
    host.delete_endpoint(last(host))


def left_last(host: CrashingHost) -> None:
    two_containers(host)
    host.leave(last(host))
    host.move_back(last(host))


def creation_of_network(bus: str, *, beside: bool = True) -> dict[str, Act | bool]:
    def start_container(host: CrashingHost) -> None:
        host.start(host.create_network(bus))

    return {
        "before": two_containers if beside else _do_nothing,
        "act": lambda host: discard(host.create_network(bus)),
        "again": start_container,
        "forgets_networks": True,
    }


def discard(_: object) -> None:
    """Discard an answer that is not needed."""


def bridged_containers(host: CrashingHost) -> None:
    network = host.create_network("vcan0", "vcan9", "can9")
    host.start(network)
    host.start(network)
    check(host)


def creation_of_bridged_network(*, beside: bool) -> Scenario:
    def start_container(host: CrashingHost) -> None:
        host.start(host.create_network("vcan0", "vcan9"))

    return Scenario(
        before=two_containers if beside else _do_nothing,
        act=lambda host: discard(host.create_network("vcan0", "vcan9")),
        again=start_container,
        forgets_networks=True,
    )


def two_networks(*buses: str) -> Act:
    def make(host: CrashingHost) -> None:
        for bus in buses:
            host.create_network(bus)
        host.start(next(iter(host.networks)))

    return make


def delete_last_network(host: CrashingHost) -> None:
    host.delete_network(list(host.networks)[-1])


CALLS = {
    "CreateNetwork, the first": Scenario(**creation_of_network("vcan0", beside=False)),  # type: ignore[arg-type] # values of several types
    "CreateNetwork": Scenario(**creation_of_network("vcan1")),  # type: ignore[arg-type] # the same
    "CreateNetwork on the bus of another network": Scenario(**creation_of_network("vcan0")),  # type: ignore[arg-type] # the same
    "CreateNetwork on an existing vcan": Scenario(**creation_of_network("vcan9")),  # type: ignore[arg-type] # the same
    "CreateNetwork on a controller": Scenario(**creation_of_network("can9")),  # type: ignore[arg-type] # the same
    "CreateNetwork that configures a controller": Scenario(**creation_of_network(CONTROLLER)),  # type: ignore[arg-type] # the same
    "CreateEndpoint": Scenario(
        before=two_containers,
        act=lambda host: discard(host.create_endpoint(next(iter(host.networks)))),
        answered=join_and_move_last_inside,
        again=start_another_container,
    ),
    "Join, the engine up to 28": Scenario(
        before=created_endpoint,
        act=join_last,
        unanswered=delete_last,
        answered=move_last_inside,
        again=start_another_container,
    ),
    "Join, the engine from 29": Scenario(
        before=created_endpoint,
        act=join_last,
        unanswered=leave_and_delete_last,
        answered=move_last_inside,
        again=start_another_container,
    ),
    "Join of a named end, the engine up to 28": Scenario(
        before=created_named_endpoint,
        act=join_last,
        unanswered=delete_last,
        answered=move_last_inside,
        again=start_another_container,
    ),
    "Join of a named end, moved inside while the plugin is down": Scenario(
        before=created_named_endpoint,
        act=join_last,
        meanwhile=move_last_inside_if_joined,
        unanswered=delete_last,
        again=start_another_container,
    ),
    "Join, moved inside while the plugin is down": Scenario(
        before=created_endpoint,
        act=join_last,
        meanwhile=move_last_inside_if_joined,
        unanswered=delete_last,
        again=start_another_container,
    ),
    "Leave, moved back while the plugin is down": Scenario(
        before=two_containers,
        act=leave_last,
        meanwhile=move_back_last,
        unanswered=delete_last,
        answered=delete_last,
        again=start_another_container,
    ),
    "Leave, moved back later": Scenario(
        before=two_containers,
        act=leave_last,
        unanswered=move_back_and_delete_last,
        answered=move_back_and_delete_last,
        again=start_another_container,
    ),
    "DeleteEndpoint": Scenario(before=left_last, act=delete_last, again=start_another_container),
    "DeleteEndpoint of an endpoint that never joined": Scenario(
        before=created_endpoint, act=delete_last, again=start_another_container
    ),
    "DeleteNetwork": Scenario(
        before=two_networks("vcan0", "vcan1"),
        act=delete_last_network,
        again=lambda host: discard(host.start(host.create_network("vcan1"))),
        forgets_networks=True,
    ),
    "DeleteNetwork on a shared bus": Scenario(
        before=two_networks("vcan0", "vcan0"), act=delete_last_network, forgets_networks=True
    ),
    "CreateNetwork with a bridge": creation_of_bridged_network(beside=False),
    "CreateNetwork with a bridge on a shared bus": creation_of_bridged_network(beside=True),
    "DeleteNetwork with a bridge on a foreign bus": Scenario(
        before=lambda host: discard(host.create_network("vcan9", "can9")),
        act=delete_last_network,
        forgets_networks=True,
    ),
    "DeleteNetwork with a bridge on a shared bus": Scenario(
        before=lambda host: discard(
            (host.create_network("vcan0"), host.create_network("vcan0", "vcan9", "can9"))
        ),
        act=delete_last_network,
        forgets_networks=True,
    ),
    "DeleteNetwork on a controller": Scenario(
        before=two_networks("vcan0", "can9"), act=delete_last_network, forgets_networks=True
    ),
}


# --- endpoints with limits ---------------------------------------------------------------


def limited_container(host: CrashingHost) -> None:
    two_containers(host)
    host.start(next(iter(host.networks)), limited=True)
    check(host)  # the plugin now knows the namespaces


def created_limited_endpoint(host: CrashingHost) -> None:
    two_containers(host)
    host.create_endpoint(next(iter(host.networks)), limited=True)


def left_limited(host: CrashingHost) -> None:
    limited_container(host)
    host.leave(last(host))
    host.move_back(last(host))


def start_limited_container(host: CrashingHost) -> None:
    host.start(next(iter(host.networks)), limited=True)


def delete_filter_interface(host: CrashingHost) -> None:
    host.kernel.delete(host.attachments[last(host)].rule_end)


def flush_filters(host: CrashingHost) -> None:
    host.kernel.flush_filters(host.attachments[last(host)].host_end)
    host.kernel.flush_filters(host.attachments[last(host)].rule_end)


# --- repairs ----------------------------------------------------------------------------


def three_containers(host: CrashingHost) -> None:
    two_containers(host)
    start_another_container(host)
    assert host.call(host.queue.check())  # the plugin now knows the namespaces


def delete_pair(host: CrashingHost) -> None:
    host.kernel.delete(host.attachments[last(host)].host_end)


def delete_two_pairs(host: CrashingHost) -> None:
    for attachment in list(host.attachments.values())[:2]:
        host.kernel.delete(attachment.host_end)


def delete_bus(host: CrashingHost) -> None:
    host.kernel.delete("vcan0")


def flush_rules(host: CrashingHost) -> None:
    host.kernel.flush_rules()


def double_rules(host: CrashingHost) -> None:
    for rule in host.kernel.observe().rules:
        host.kernel.add_rule(rule)


def bring_down(host: CrashingHost) -> None:
    host.kernel.set_flag("vcan0", up=False)
    host.kernel.set_flag(host.attachments[last(host)].host_end, up=False)


def everything(host: CrashingHost) -> None:
    for damage in (flush_rules, delete_bus, delete_pair):
        damage(host)


def check(host: CrashingHost) -> None:
    host.call(host.queue.check())


def restart_degraded_containers(host: CrashingHost) -> None:
    for endpoint in host.degraded & set(host.attachments):
        attachment = host.attachments[endpoint]
        host.stop(endpoint)
        host.start(attachment.network, limited=attachment.limited)


def after(damage: Act) -> Act:
    def before(host: CrashingHost) -> None:
        three_containers(host)
        damage(host)

    return before


def while_down(damage: Act) -> Act:
    def before(host: CrashingHost) -> None:
        three_containers(host)
        host.kill_plugin()
        damage(host)

    return before


DAMAGES: dict[str, Act] = {
    "a pair deleted": delete_pair,
    "two pairs deleted": delete_two_pairs,
    "the bus deleted": delete_bus,
    "the rules flushed": flush_rules,
    "every rule doubled": double_rules,
    "interfaces brought down": bring_down,
    "all at once": everything,
}
REPAIRS = {
    f"repair: {name}": Scenario(before=after(damage), act=check, again=restart_degraded_containers)
    for name, damage in DAMAGES.items()
}


def damage_limits(*damages: Act) -> Scenario:
    def before(host: CrashingHost) -> None:
        limited_container(host)
        for damage in damages:
            damage(host)

    return Scenario(before=before, act=check, again=restart_degraded_containers)


CALLS |= {
    "CreateEndpoint with limits": Scenario(
        before=two_containers,
        act=lambda host: discard(host.create_endpoint(next(iter(host.networks)), limited=True)),
        answered=join_and_move_last_inside,
        again=start_limited_container,
    ),
    "Join with limits": Scenario(
        before=created_limited_endpoint,
        act=join_last,
        unanswered=leave_and_delete_last,
        answered=move_last_inside,
        again=start_limited_container,
    ),
    "Leave with limits": Scenario(
        before=limited_container,
        act=leave_last,
        unanswered=move_back_and_delete_last,
        answered=move_back_and_delete_last,
        again=start_limited_container,
    ),
    "DeleteEndpoint with limits": Scenario(
        before=left_limited, act=delete_last, again=start_limited_container
    ),
    "repair: filters flushed": damage_limits(flush_filters),
    "repair: filter interface deleted": damage_limits(delete_filter_interface),
    "repair: limited pair deleted": damage_limits(delete_pair),
}


# --- virtual buses with a bitrate ---------------------------------------------------------


def slow_bus(host: CrashingHost) -> None:
    network = host.create_network(SLOW_BUS)
    host.start(network)
    host.start(network, limited=True)
    check(host)


def created_endpoint_on_slow_bus(host: CrashingHost) -> None:
    slow_bus(host)
    host.create_endpoint(next(iter(host.networks)), limited=True)


def delete_meter(host: CrashingHost) -> None:
    host.kernel.delete(wire_names(SLOW_BUS)[1])


def remove_queue_of_wire(host: CrashingHost) -> None:
    host.kernel.wires.flush(host.kernel.link(wire_names(SLOW_BUS)[0]).index)


def damaged_slow_bus(damage: Act) -> Act:
    def before(host: CrashingHost) -> None:
        slow_bus(host)
        damage(host)

    return before


CALLS |= {
    "CreateNetwork with a bitrate": Scenario(**creation_of_network(SLOW_BUS, beside=False)),  # type: ignore[arg-type] # as above
    "DeleteNetwork with a bitrate": Scenario(
        before=two_networks("vcan0", SLOW_BUS),
        act=delete_last_network,
        again=lambda host: discard(host.start(host.create_network(SLOW_BUS))),
        forgets_networks=True,
    ),
    "Join on a bus with a bitrate": Scenario(
        before=created_endpoint_on_slow_bus,
        act=join_last,
        unanswered=leave_and_delete_last,
        answered=move_last_inside,
        again=start_another_container,
    ),
    "repair: meter deleted": Scenario(before=damaged_slow_bus(delete_meter), act=check),
    "repair: queue of a wire removed": Scenario(
        before=damaged_slow_bus(remove_queue_of_wire), act=check
    ),
}


# --- faults ------------------------------------------------------------------------------


def with_fault(host: CrashingHost) -> None:
    limited_container(host)
    host.set_fault(next(iter(host.networks)))


def set_fault(host: CrashingHost) -> None:
    host.set_fault(next(iter(host.networks)))


def set_fault_and_clear_it(host: CrashingHost) -> None:
    set_fault(host)
    host.clear_faults()


def damage_faults(damage: Act) -> Scenario:
    def before(host: CrashingHost) -> None:
        with_fault(host)
        damage(host)

    return Scenario(before=before, act=check, again=restart_degraded_containers)


def remove_queues(host: CrashingHost) -> None:
    for index in list(host.kernel.observe().fault_queues):
        host.kernel.queues.remove_queue(index)


def created_endpoint_and_fault(host: CrashingHost) -> None:
    with_fault(host)
    host.create_endpoint(next(iter(host.networks)))


def lossy_foreign_bus(host: CrashingHost) -> None:
    for bus in ("vcan9", CONTROLLER):
        host.set_fault(host.create_network(bus))


CALLS |= {
    "a fault is set": Scenario(before=limited_container, act=set_fault, again=set_fault),
    "a fault is cleared": Scenario(
        before=with_fault, act=lambda host: host.clear_faults(), again=set_fault_and_clear_it
    ),
    "Join on a bus with a fault": Scenario(
        before=created_endpoint_and_fault,
        act=join_last,
        unanswered=leave_and_delete_last,
        answered=move_last_inside,
        again=start_limited_container,
    ),
    "Leave on a bus with a fault": Scenario(
        before=with_fault,
        act=leave_last,
        unanswered=move_back_and_delete_last,
        answered=move_back_and_delete_last,
        again=start_limited_container,
    ),
    "DeleteNetwork on a bus with a fault": Scenario(
        before=lossy_foreign_bus, act=delete_last_network, forgets_networks=True
    ),
    "repair: queues removed": damage_faults(remove_queues),
    "repair: filters of a member with a fault flushed": damage_faults(flush_filters),
    "repair: filter interface of a member with a fault deleted": damage_faults(
        delete_filter_interface
    ),
    "repair: pair of a member with a fault deleted": damage_faults(delete_pair),
}


def on_a_controller(host: CrashingHost) -> None:
    network = host.create_network(CONTROLLER)
    host.start(network)
    host.start(network)
    check(host)


def replug_controller(host: CrashingHost) -> None:
    host.kernel.delete(CONTROLLER)
    host.kernel.plug(CONTROLLER)


def reconfigure_controller(host: CrashingHost) -> None:
    host.kernel.set_flag(CONTROLLER, up=False)
    host.kernel.configure_controller(CONTROLLER, ControllerSettings(bitrate=250_000))


def name_and_delete_pair(host: CrashingHost) -> None:
    endpoint = host.create_endpoint(next(iter(host.networks)), "engine")
    host.join(endpoint)
    host.move_inside(endpoint)
    check(host)
    host.kernel.delete(host.attachments[endpoint].host_end)


def controller_after(damage: Act, *, down: bool) -> Act:
    def before(host: CrashingHost) -> None:
        on_a_controller(host)
        if down:
            host.kill_plugin()
        damage(host)

    return before


def double_host_rule(host: CrashingHost) -> None:
    """Add a rule that does what one of evercan's does, as somebody else might."""
    links = host.kernel.observe().links
    ends = {links[name].index for name in ("vcan0", "vcan9", "can9")}
    rule = next(rule for rule in host.kernel.observe().rules if {*rule[:2]} <= ends)
    host.kernel.add_rule(rule.without_mark())
    host.foreign_rules[rule.without_mark()] += 1


def bridged_after(damage: Act) -> Act:
    def before(host: CrashingHost) -> None:
        bridged_containers(host)
        damage(host)

    return before


CONTROLLER_DAMAGES: dict[str, Act] = {
    "a controller re-plugged": replug_controller,
    "a controller reconfigured": reconfigure_controller,
}
REPAIRS |= {
    f"repair on a bridged bus: {name}": Scenario(
        before=bridged_after(damage), act=check, again=restart_degraded_containers
    )
    for name, damage in (
        ("the rules flushed", flush_rules),
        ("the bus deleted", delete_bus),
        ("a bridged interface's rule doubled", double_host_rule),
    )
}
REPAIRS |= {
    f"repair: {name}": Scenario(before=controller_after(damage, down=False), act=check)
    for name, damage in CONTROLLER_DAMAGES.items()
} | {
    "repair: a named pair deleted": Scenario(
        before=after(name_and_delete_pair), act=check, again=restart_degraded_containers
    )
}


def start_plugin(host: CrashingHost) -> None:
    host.start_plugin()


STARTS = {
    f"start: {name}": Scenario(
        before=while_down(damage), act=start_plugin, again=restart_degraded_containers
    )
    for name, damage in DAMAGES.items()
} | {
    f"start: {name}": Scenario(before=controller_after(damage, down=True), act=start_plugin)
    for name, damage in CONTROLLER_DAMAGES.items()
}


# --- every moment ------------------------------------------------------------------------


def run_with_crash(scenario: Scenario, folder: Path, kill_point: KillPoint, moment: int) -> bool:
    """Kill the process at one moment and go on; return whether a network was unconfirmed."""
    host = CrashingHost(folder, kill_point)
    scenario.before(host)
    kill_point.arm(moment)
    scenario.act(host)
    killed = kill_point.killed
    host.kill_plugin()
    scenario.meanwhile(host)
    assert host.start_plugin()
    (scenario.unanswered if killed else scenario.answered)(host)
    host.verify()
    unconfirmed = bool(host.unconfirmed)
    assert scenario.forgets_networks or not unconfirmed
    scenario.again(host)
    host.verify()
    assert not host.degraded, "an endpoint stays broken"
    host.remove_all()
    host.kill_plugin()
    return unconfirmed


SCENARIOS = CALLS | REPAIRS | STARTS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_moment_loses_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(transaction, "_ROLLBACK_WAIT", 0.0)
    tally = pytestconfig.stash[KILL_POINTS]
    lost: list[str] = []
    for moment in count(1):
        folder, kill_point = tmp_path / str(moment), KillPoint()
        folder.mkdir()
        tally["tried"] += 1
        try:
            with files_with_kill_points(kill_point):
                tally["unconfirmed"] += run_with_crash(SCENARIOS[name], folder, kill_point, moment)
        except AssertionError as error:
            lost.append(f"moment {moment}: {error}")
        if kill_point.moments < moment:
            break  # there is no such moment: the process was killed after the last one
    tally["lost"] += len(lost)
    assert not lost, "\n".join(lost)
