"""Each folder of ``plan_cases`` is one situation and the plan for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evercan.planning.plan import make_plan
from tests.support.plan_cases import Case, read_case, write_steps

FOLDERS = sorted((Path(__file__).parent / "plan_cases").iterdir())

all_cases = pytest.mark.parametrize(
    "case", [pytest.param(read_case(folder), id=folder.name) for folder in FOLDERS]
)


@all_cases
def test_the_steps(case: Case) -> None:
    assert write_steps(make_plan(case.declared, case.observed), case.observed) == case.steps


@all_cases
def test_the_problems(case: Case) -> None:
    problems = make_plan(case.declared, case.observed).problems
    assert [(problem.kind, problem.bus, problem.endpoint) for problem in problems] == [
        (wanted["kind"], wanted["bus"], wanted.get("endpoint")) for wanted in case.problems
    ]
    for problem, wanted in zip(problems, case.problems, strict=True):
        assert problem.remedy
        assert {"text", "remedy"} & wanted.keys()
        assert wanted.get("text", "") in problem.text
        assert wanted.get("remedy", "") in problem.remedy
