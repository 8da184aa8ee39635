"""Each folder of ``plan_cases`` is one situation and the plan for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.planning.plan import make_plan
from tests.support.plan_cases import Case, read_case, write_steps

CASES = [read_case(each) for each in sorted((Path(__file__).parent / "plan_cases").iterdir())]


def each_case() -> list[object]:
    return [pytest.param(case, id=case.name) for case in CASES]


@pytest.mark.parametrize("case", each_case())
def test_the_steps(case: Case) -> None:
    assert write_steps(make_plan(case.declared, case.observed), case.observed) == case.steps


@pytest.mark.parametrize("case", each_case())
def test_the_problems(case: Case) -> None:
    problems = make_plan(case.declared, case.observed).problems
    told = [(each.kind, each.bus, each.endpoint) for each in problems]
    assert told == [(each["kind"], each["bus"], each.get("endpoint")) for each in case.problems]
    for problem, wanted in zip(problems, case.problems, strict=True):
        assert wanted.get("text", "") in problem.text
        assert wanted.get("remedy", "") in problem.remedy
