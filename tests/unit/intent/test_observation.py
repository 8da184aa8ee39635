"""The declared state follows a start and what the kernel shows, without any call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import given

from evercan.intent.observation import after_observation, after_start, after_steps, before_steps
from evercan.model.controller import ControllerSettings, Timing
from evercan.model.declared import NONE, Configured, Declared, Network, Phase
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.model.problems import ProblemKind
from evercan.model.steps import ClearTag, ConfigureBus, DeleteLink, Failure, MakeBus, MakePair, Step
from evercan.options.network import NetworkOptions
from evercan.planning.plan import make_plan
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.reconcile.state_format import VERSION
from evercan.values import replace
from tests.support.changes import creating, run_pass
from tests.support.declarations import declare, endpoint, network, physical
from tests.support.fake_controllers import SJA1000
from tests.support.fake_kernel import FakeKernel
from tests.support.healthy_host import healthy_host
from tests.support.kill_points import Killed
from tests.support.strategies import Situation, situations

EMPTY = Observed()
FAST, SLOW = ControllerSettings(bitrate=500_000), ControllerSettings(bitrate=125_000)
IMPOSSIBLE = ControllerSettings(bitrate=3_000_000)


def seeing(*links: Link) -> Observed:
    return Observed(links={link.name: link for link in links})


def phases(declared: Declared) -> dict[str, Phase]:
    return {endpoint.id: endpoint.phase for endpoint in declared.endpoints.values()}


# --- a start ------------------------------------------------------------------------


def test_after_a_reboot_no_endpoint_is_running() -> None:
    declared = declare([network()], [endpoint(phase.value, phase=phase) for phase in Phase])
    started = after_start(declared, "boot-2")
    assert started.boot == "boot-2"
    assert set(phases(started).values()) == {Phase.DORMANT}
    assert "dormant" not in started.endpoints
    assert started.networks == declared.networks


def test_after_a_restart_of_the_plugin_members_stay_members() -> None:
    declared = declare([network()], [endpoint(phase.value, phase=phase) for phase in Phase])
    assert phases(after_start(declared, "boot-1")) == {
        "created": Phase.DORMANT,
        "offered": Phase.OFFERED,
        "joined": Phase.JOINED,
        "left": Phase.LEFT,
    }


# --- pairs --------------------------------------------------------------------------


def test_an_offered_pair_whose_end_is_in_a_container_has_joined() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    declared = declare([network()], [endpoint("aa", phase=Phase.OFFERED)])
    assert phases(after_observation(declared, kernel.observe())) == {"aa": Phase.OFFERED}
    kernel.move_in("vxcanaap", 1)
    assert phases(after_observation(declared, kernel.observe())) == {"aa": Phase.JOINED}


def test_a_joined_pair_whose_end_is_back_on_the_host_is_not_running() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    declared = declare([network()], [endpoint("aa", phase=Phase.JOINED)])
    after = after_observation(declared, kernel.observe())
    assert phases(after) == {"aa": Phase.DORMANT}
    assert after.retired == {"vxcanaa"}


def test_a_pair_that_left_is_wanted_until_its_end_is_back_on_the_host() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    kernel.move_in("vxcanaap", 1)
    declared = declare([network()], [endpoint("aa", phase=Phase.LEFT)])
    assert after_observation(declared, kernel.observe()) == declared
    kernel.move_out(1, "vcanp0", "vxcanaap")
    after = after_observation(declared, kernel.observe())
    assert phases(after) == {"aa": Phase.DORMANT}
    assert after.retired == {"vxcanaa"}


def test_a_pair_whose_repair_is_unfinished_was_not_moved_back() -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaaq")])
    declared = declare([network()], [endpoint("aa", phase=Phase.JOINED)])
    assert after_observation(declared, kernel.observe()) == declared
    assert make_plan(declared, kernel.observe()).steps[0] == DeleteLink(3, "vxcanaa")


@pytest.mark.parametrize(
    "declared",
    [
        declare([network()], [endpoint("aa", phase=Phase.JOINED)]),
        declare([network()], [endpoint("aa", phase=Phase.LEFT)]),
        declare([network()], retired=["vxcanaa"]),
    ],
    ids=["joined", "left", "retired"],
)
def test_a_placeholder_that_is_left_over_is_deleted(declared: Declared) -> None:
    kernel = FakeKernel()
    kernel.apply([MakePair("vcan0", "aa", "vxcanaaq", "vxcanaar")])
    kernel.move_in("vxcanaaq", 1)
    observed = kernel.observe()
    steps = make_plan(after_observation(declared, observed), observed).steps
    assert DeleteLink(2, "vxcanaar") in steps


def test_an_interface_of_somebody_else_does_not_change_an_endpoint() -> None:
    kernel = FakeKernel()
    kernel.make("vxcanaa", "vxcan")
    declared = declare([network()], [endpoint("aa", phase=Phase.JOINED)])
    assert after_observation(declared, kernel.observe()) == declared


def test_a_retired_name_that_no_longer_exists_is_forgotten() -> None:
    declared = declare([network()], retired=["vxcanaa"])
    assert not after_observation(declared, EMPTY).retired


# --- virtual buses --------------------------------------------------------------------


@pytest.mark.parametrize(
    "bus", [network(owns_bus=False), physical()], ids=["the host's own vcan", "controller"]
)
def test_a_bus_of_the_hosts_own_stays_so_while_it_is_missing(bus: Network) -> None:
    missing = after_observation(declare([bus]), EMPTY)
    assert missing.networks["net"] == bus
    created_again = seeing(Link(index=5, name="vcan0", kind="vcan", group=LINK_GROUP))
    assert after_observation(missing, created_again).networks["net"] == bus


# --- controllers ----------------------------------------------------------------------


def controlled(
    configured: Mapping[int, Configured] = NONE, settings: ControllerSettings = FAST
) -> Declared:
    """Return a declared state with one network that configures ``can0``."""
    declared = declare([replace(physical(), settings=settings)])
    return replace(declared, configured=dict(configured))


def card(
    index: int = 5, *, up: bool = True, bitrate: int = 500_000, group: int = 0, name: str = "can0"
) -> Observed:
    """Return an observation of a controller."""
    controller = replace(SJA1000, timing=Timing(bitrate=bitrate, sample_point=875))
    return seeing(
        Link(index=index, name=name, kind="can", up=up, group=group, controller=controller)
    )


def made(bitrate: int = 500_000, index: int = 5) -> dict[int, Configured]:
    """Return what is known of a controller that the kernel has configured like this."""
    controller = card(bitrate=bitrate).links["can0"].controller
    assert controller is not None
    return {index: Configured(FAST, made=controller.settings())}


def not_yet_observed(index: int = 5) -> dict[int, Configured]:
    """Return what is known of a controller that was configured and not observed since."""
    return {index: Configured(FAST)}


def test_a_restart_of_the_plugin_keeps_which_controllers_were_configured() -> None:
    declared = controlled(made())
    assert after_start(declared, "boot-1") == declared


def test_after_a_reboot_no_controller_is_configured() -> None:
    assert after_start(controlled(made()), "boot-2").configured == {}


@pytest.mark.parametrize("up", [True, False])
def test_a_controller_that_is_still_there_stays_configured(up: bool) -> None:
    declared = controlled(made())
    assert after_observation(declared, card(up=up)) == declared


@pytest.mark.parametrize("observed", [EMPTY, card(index=9)], ids=["unplugged", "plugged in again"])
def test_another_controller_of_the_same_name_is_not_configured(observed: Observed) -> None:
    assert after_observation(controlled(made()), observed).configured == {}


def test_a_controller_that_was_plugged_in_again_is_configured_while_it_is_down() -> None:
    observed = card(index=9, up=False)
    after = after_observation(controlled(made()), observed)
    (step,) = make_plan(after, observed).steps
    assert isinstance(step, ConfigureBus)
    assert step.index == 9


def test_a_controller_that_was_plugged_in_again_and_configured_by_somebody_is_left_alone() -> None:
    observed = card(index=9, bitrate=125_000)
    plan = make_plan(after_observation(controlled(made()), observed), observed)
    assert plan.steps == ()
    assert [problem.kind for problem in plan.problems] == [ProblemKind.BUS_SETTINGS]


def test_the_settings_that_the_kernel_made_are_remembered_once_the_controller_is_up() -> None:
    declared = controlled(not_yet_observed())
    assert after_observation(declared, card(bitrate=499_999, up=False)) == declared
    after = after_observation(declared, card(bitrate=499_999))
    assert after.configured == made(499_999)
    assert after_observation(after, card(bitrate=250_000)).configured == made(499_999)


def test_a_bitrate_that_the_kernel_cannot_have_made_is_not_remembered() -> None:
    declared = controlled(not_yet_observed())
    assert after_observation(declared, card(bitrate=125_000)) == declared


def test_a_controller_stays_configured_after_its_network_is_removed() -> None:
    declared = controlled(made()).without_network("net")
    assert after_observation(declared, card()) == declared


def test_a_controller_that_somebody_changes_while_no_network_uses_it_is_not_configured() -> None:
    declared = controlled(made()).without_network("net")
    assert after_observation(declared, card(bitrate=125_000)).configured == {}


def test_a_new_network_may_configure_a_configured_controller_differently() -> None:
    observed = card()
    after = after_observation(controlled(made(), SLOW), observed)
    assert after.configured == made()
    (step,) = make_plan(after, observed).steps
    assert isinstance(step, ConfigureBus)
    assert step.settings == SLOW


def test_a_new_network_may_give_a_configured_controller_another_sample_point() -> None:
    settings = replace(FAST, sample_point=600)
    declared, observed = controlled(made(), settings), card()
    for known in (declared, after_observation(declared, observed)):
        (step,) = make_plan(known, observed).steps
        assert isinstance(step, ConfigureBus)
        assert step.settings == settings


def test_a_new_network_that_asks_for_what_a_configured_controller_has_changes_nothing() -> None:
    settings = replace(FAST, sample_point=875)
    declared, observed = controlled(made(), settings), card()
    assert make_plan(declared, observed).steps == ()
    after = after_observation(declared, observed)
    assert after.configured == {5: Configured(settings, made=made()[5].made)}


def test_a_controller_stays_configured_when_one_of_two_networks_is_removed() -> None:
    two = controlled(made()).with_network(replace(physical("other"), settings=FAST))
    one = two.without_network("net")
    assert after_observation(one, card()) == one
    (step,) = make_plan(after_observation(one, card(bitrate=125_000)), card(bitrate=125_000)).steps
    assert isinstance(step, ConfigureBus)


def test_the_tag_of_an_older_release_says_which_controller_was_configured() -> None:
    observed = card(group=LINK_GROUP)
    after = after_observation(controlled(), observed)
    assert after.configured == made()
    plan = make_plan(after, observed, after)
    assert plan.steps == (ClearTag(5, "can0"),)
    assert (plan.problems, plan.drift) == ((), ())


def test_a_tagged_controller_with_other_settings_is_configured_again_and_its_tag_cleared() -> None:
    observed = card(bitrate=125_000, group=LINK_GROUP)
    plan = make_plan(after_observation(controlled(), observed), observed)
    assert {type(step) for step in plan.steps} == {ConfigureBus, ClearTag}
    assert plan.problems == ()


def test_the_tag_of_a_controller_that_no_network_uses_is_cleared() -> None:
    observed = card(group=LINK_GROUP)
    after = after_observation(declare(), observed)
    assert make_plan(after, observed).steps == (ClearTag(5, "can0"),)


def test_a_tagged_virtual_interface_keeps_its_tag() -> None:
    observed = seeing(Link(index=5, name="vcan7", kind="vcan", up=True, group=LINK_GROUP))
    assert make_plan(declare(), observed).steps == ()


def configure(index: int = 5) -> ConfigureBus:
    return ConfigureBus("can0", index, "can0", FAST, ControllerSettings(), was_up=False)


def test_a_controller_counts_as_configured_from_before_the_step_is_taken() -> None:
    noted = before_steps(controlled(), [MakeBus("vcan0"), configure()])
    assert noted.configured == not_yet_observed()


def test_a_step_that_fails_restores_what_was_known_before_it() -> None:
    for former in (
        controlled(),
        controlled(not_yet_observed(3)),
        controlled(made(index=3) | made()),
    ):
        noted = before_steps(former, [configure()])
        assert noted.configured[5] == Configured(FAST)
        assert after_steps(noted, former, [configure()], [configure()]) == former
        assert after_steps(noted, former, [configure()], []) == noted


def test_a_failed_step_of_a_network_that_was_removed_restores_nothing() -> None:
    steps = [configure()]
    assert after_steps(declare(), declare(), steps, steps) == declare()


# --- controllers and crashes -----------------------------------------------------------


class CrashingKernel(FakeKernel):
    """A kernel whose caller is killed before or after a controller is configured."""

    def __init__(self) -> None:
        super().__init__()
        self.crash = ""

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        configures = any(isinstance(step, ConfigureBus) for step in steps)
        if configures and self.crash == "before":
            raise Killed
        failures = super().apply(steps)
        if configures and self.crash == "after":
            raise Killed
        return failures


def process(kernel: FakeKernel, folder: Path) -> Reconciler:
    """Start a process of the plugin."""
    reconciler = Reconciler(kernel, StateFile(folder))
    reconciler.start()
    return reconciler


def on_disk(folder: Path) -> set[int]:
    """Return the controllers that the state file lists as configured."""
    return set(StateFile(folder).load().configured)


def creating_controlled(settings: ControllerSettings = FAST) -> NetworkOptions:
    return NetworkOptions(bus="can0", settings=settings)


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_crash_around_the_configuration_of_a_controller_is_repaired_by_the_next_process(
    tmp_path: Path, crash: str
) -> None:
    kernel = CrashingKernel()
    kernel.plug("can0")
    index = kernel.link("can0").index
    reconciler = process(kernel, tmp_path)
    kernel.crash = crash
    with pytest.raises(Killed):
        run_pass(reconciler, creating(options=creating_controlled()))
    assert on_disk(tmp_path) == {index}
    assert kernel.link("can0").up == (crash == "after")
    kernel.crash = ""
    restarted = process(kernel, tmp_path)
    assert kernel.link("can0").up
    assert restarted.state.problems == ()
    assert on_disk(tmp_path) == {index}
    # It is known as configured by evercan: what somebody changes is repaired.
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", SLOW)
    run_pass(restarted)
    controller = kernel.link("can0").controller
    assert controller is not None
    assert controller.timing.bitrate == 500_000


def test_a_crash_before_a_reboot_does_not_make_a_controller_count_as_configured(
    tmp_path: Path,
) -> None:
    kernel = CrashingKernel()
    kernel.plug("can0")
    reconciler = process(kernel, tmp_path)
    kernel.crash = "before"
    with pytest.raises(Killed):
        run_pass(reconciler, creating(options=creating_controlled()))
    rebooted = FakeKernel(boot="boot-2")
    rebooted.plug("can0")
    rebooted.configure_controller("can0", SLOW)
    assert rebooted.link("can0").index == kernel.link("can0").index
    restarted = process(rebooted, tmp_path)
    assert on_disk(tmp_path) == set()
    assert [problem.kind for problem in restarted.state.problems] == [ProblemKind.BUS_SETTINGS]
    controller = rebooted.link("can0").controller
    assert controller is not None
    assert controller.timing.bitrate == 125_000


def test_a_controller_that_takes_no_settings_does_not_count_as_configured(tmp_path: Path) -> None:
    kernel = FakeKernel()
    kernel.plug("can0")
    reconciler = process(kernel, tmp_path)
    run_pass(reconciler, creating(options=creating_controlled(IMPOSSIBLE)))
    assert [problem.kind for problem in reconciler.state.problems] == [ProblemKind.BUS_SETTINGS]
    assert reconciler.state.declared.configured == {}
    assert on_disk(tmp_path) == set()


def test_a_state_of_version_2_and_a_tagged_controller_are_taken_over(tmp_path: Path) -> None:
    kernel, declared = healthy_host(controlled())
    link = kernel.link("can0")
    kernel.set_group("can0", LINK_GROUP)
    file = StateFile(tmp_path)
    file.save(declared)
    document = orjson.loads(file.path.read_bytes())
    document["version"] = 2
    del document["configured"]
    document["networks"][0]["granted"] = {"bitrate": 500000, "sample_point": 875}
    file.path.write_bytes(orjson.dumps(document))

    reconciler = process(kernel, tmp_path)
    assert kernel.link("can0") == link
    assert kernel.taken == [ClearTag(link.index, "can0")]
    assert reconciler.state.problems == ()
    assert dict(reconciler.recoveries.drift) == {}
    assert on_disk(tmp_path) == {link.index}
    assert orjson.loads(file.path.read_bytes())["version"] == VERSION


# --- all states -----------------------------------------------------------------------


@given(situations())
def test_observing_twice_is_the_same_as_once(situation: Situation) -> None:
    observed = situation.kernel.observe()
    once = after_observation(situation.declared, observed)
    assert after_observation(once, observed) == once


@given(situations())
def test_an_observation_removes_no_network_and_no_endpoint(situation: Situation) -> None:
    after = after_observation(situation.declared, situation.kernel.observe())
    assert after.networks.keys() == situation.declared.networks.keys()
    assert after.endpoints.keys() == situation.declared.endpoints.keys()
    for old, new in zip(
        situation.declared.endpoints.values(), after.endpoints.values(), strict=True
    ):
        assert replace(old, phase=new.phase) == new
