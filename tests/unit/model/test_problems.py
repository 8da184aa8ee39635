"""A problem is data: its kind, what it concerns, what is wrong, and what to do."""

from __future__ import annotations

import pytest

from evercan.errors import CannotServe, ModuleMissing
from evercan.model.declared import Declared
from evercan.model.problems import Problem, ProblemKind
from evercan.model.state import State


def test_text_and_remedy_are_written_as_one_sentence() -> None:
    problem = Problem(ProblemKind.BUS_DOWN, "vcan0", "vcan0 is down", remedy="bring it up")
    assert str(problem) == "vcan0 is down; bring it up"


def test_a_problem_without_a_remedy_is_its_text() -> None:
    assert str(Problem(ProblemKind.BUS_DOWN, "vcan0", "vcan0 is down")) == "vcan0 is down"


@pytest.mark.parametrize(
    "error", [CannotServe("the bus is missing", "create it"), ModuleMissing("can-gw")]
)
def test_a_problem_of_an_error_keeps_text_and_remedy_apart(error: CannotServe) -> None:
    problem = Problem.of_error(error, kind=ProblemKind.MODULE_MISSING, bus="vcan0")
    assert (problem.text, problem.remedy) == (error.text, error.remedy)
    assert (problem.kind, problem.bus) == (ProblemKind.MODULE_MISSING, "vcan0")
    assert problem.endpoint is None
    assert str(problem) == str(error)


def test_a_problem_of_an_error_concerns_all_buses_unless_one_is_given() -> None:
    problem = Problem.of_error(CannotServe("no", "try again"))
    assert (problem.kind, problem.bus) == (ProblemKind.REFUSED, "")


def test_the_problems_of_a_bus_are_its_own_and_those_of_one_endpoint() -> None:
    whole, mine, other = (
        Problem(ProblemKind.DRIFT, "vcan0", "a rule is missing", endpoint)
        for endpoint in (None, "aa", "bb")
    )
    elsewhere = Problem(ProblemKind.DRIFT, "vcan1", "a rule is missing")
    state = State(declared=Declared(), problems=(whole, mine, other, elsewhere))
    assert state.problems_of("vcan0") == [whole]
    assert state.problems_of("vcan0", "aa") == [whole, mine]
    assert state.problems_of("vcan2") == []


def test_published_kinds_keep_their_names() -> None:
    assert {kind.value for kind in ProblemKind} == {
        "module-missing",
        "can-gw-missing",
        "bus-absent",
        "bus-down",
        "bus-off",
        "bus-settings",
        "bus-foreign",
        "bus-impersonates",
        "bus-no-fd",
        "fault-injected",
        "faults-blocked",
        "bus-swapped",
        "bridge-absent",
        "bridge-down",
        "bridge-foreign",
        "foreign-rules",
        "pair-missing",
        "pair-foreign",
        "pair-replaced",
        "end-down",
        "ifname-ignored",
        "drift",
        "repairs-limited",
        "refused",
        "internal-error",
    }
