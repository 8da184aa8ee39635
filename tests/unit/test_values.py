"""Classes made by ``evercan.values`` behave like those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from evercan import values
from evercan.model import steps


def make_classes(source: ModuleType | SimpleNamespace) -> SimpleNamespace:
    """Create the same classes with what a module has in place of the standard library's."""

    class Point(source.NamedTuple):  # type: ignore[name-defined, misc] # chosen at run time
        """A place."""

        x: int
        y: int = 2

        @property
        def total(self) -> int:
            return int(self.x + self.y)

        @classmethod
        def origin(cls) -> Any:
            return cls(0, 0)

    class Nothing(source.NamedTuple):  # type: ignore[name-defined, misc] # chosen at run time
        """A tuple without fields."""

    @source.dataclass(frozen=True, slots=True)
    class Step:
        """A change."""

        bus: str
        name: str = "vcan0"

        endpoint: ClassVar[str | None] = None

        def __str__(self) -> str:
            return f"change {self.name}"

    @source.dataclass(frozen=True, slots=True)
    class Other:
        """A change of another kind with the same fields."""

        bus: str
        name: str = "vcan0"

    @source.dataclass(frozen=True, slots=True, kw_only=True)
    class Table:
        """A table."""

        id: int
        rows: Mapping[str, int] = source.field(default_factory=dict)
        at: float = source.field(default=0.0, compare=False)

        def with_row(self, name: str) -> Any:
            return source.replace(self, rows={**self.rows, name: 1})

    return SimpleNamespace(Point=Point, Nothing=Nothing, Step=Step, Other=Other, Table=Table)


STANDARD = make_classes(
    SimpleNamespace(
        NamedTuple=typing.NamedTuple,
        dataclass=dataclasses.dataclass,
        field=dataclasses.field,
        replace=dataclasses.replace,
    )
)
OURS = make_classes(values)

BEHAVIOUR: dict[str, Callable[[SimpleNamespace], object]] = {
    "a tuple's repr": lambda of: repr(of.Point(1)).rpartition(".")[2],
    "a tuple's copy": lambda of: copy.copy(of.Point(1)) == of.Point(1),
    "a tuple by names": lambda of: tuple(of.Point(y=4, x=3)),
    "a tuple by position and name": lambda of: tuple(of.Point(3, y=4)),
    "a tuple is unpacked": lambda of: [*of.Point(3)],
    "a tuple's fields": lambda of: (of.Point._fields, of.Point(5).x, of.Point(5).y),
    "a tuple's property": lambda of: of.Point(5).total,
    "a tuple's class method": lambda of: of.Point.origin() == (0, 0),
    "a tuple is equal to a tuple": lambda of: (of.Point(1) == (1, 2), hash(of.Point(1))),
    "a tuple's dictionary": lambda of: of.Point(1)._asdict(),
    "a tuple with a change": lambda of: tuple(of.Point(1)._replace(y=7)),
    "a tuple's docstring": lambda of: of.Point.__doc__,
    "a tuple's pattern": lambda of: of.Point.__match_args__,
    "a tuple has no dictionary": lambda of: hasattr(of.Point(1), "__dict__"),
    "an empty tuple": lambda of: (of.Nothing() == (), repr(of.Nothing()).rpartition(".")[2]),
    "a class's repr": lambda of: repr(of.Step("vcan0")),
    "a class's str": lambda of: str(of.Step("vcan0", "a")),
    "a class by names": lambda of: of.Step(name="a", bus="b") == of.Step("b", "a"),
    "a class's class variable": lambda of: (of.Step.endpoint, of.Step("b").endpoint),
    "a class's pattern": lambda of: (of.Step.__match_args__, of.Table.__match_args__),
    "a class's slots": lambda of: (of.Step.__slots__, hasattr(of.Step("b"), "__dict__")),
    "a class's name": lambda of: (of.Step.__name__, of.Step.__qualname__, of.Step.__module__),
    "a class's docstring": lambda of: of.Step.__doc__,
    "a class's type hints": lambda of: typing.get_type_hints(of.Step),
    "equal values have equal hashes": lambda of: len({of.Step("b"), of.Step("b"), of.Step("c")}),
    "another class is not equal": lambda of: of.Step("b") == of.Other("b"),
    "a tuple is not equal": lambda of: of.Step("b") == ("b", "vcan0"),
    "each value has a default of its own": lambda of: of.Table(id=1).rows is of.Table(id=1).rows,
    "a field is not compared": lambda of: of.Table(id=1, at=1.0) == of.Table(id=1, at=2.0),
    "a field is compared": lambda of: of.Table(id=1) == of.Table(id=1, rows={"a": 1}),
    "a class with a change": lambda of: repr(of.Table(id=1, at=3.0).with_row("b")),
}

MISTAKES: dict[str, Callable[[SimpleNamespace], object]] = {
    "a tuple without a field": lambda of: of.Point(),
    "a tuple with too many fields": lambda of: of.Point(1, 2, 3),
    "a tuple with an unknown field": lambda of: of.Point(1, z=3),
    "a tuple with a field twice": lambda of: of.Point(1, x=1),
    "a tuple is changed": lambda of: setattr(of.Point(1), "x", 2),
    "a class without a field": lambda of: of.Step(),
    "a class with too many fields": lambda of: of.Step("a", "b", "c"),
    "a class with an unknown field": lambda of: of.Step("a", z=3),
    "a class with a field twice": lambda of: of.Step("a", bus="a"),
    "a class is changed": lambda of: setattr(of.Step("a"), "bus", "b"),
    "a field is deleted": lambda of: delattr(of.Step("a"), "bus"),
    "a field that is only given by name": lambda of: of.Table(1),
    "a value that has no hash": lambda of: hash(of.Table(id=1)),
}


@pytest.mark.parametrize("behaviour", BEHAVIOUR.values(), ids=BEHAVIOUR)
def test_a_class_behaves_like_the_standard_librarys(
    behaviour: Callable[[SimpleNamespace], object],
) -> None:
    assert behaviour(OURS) == behaviour(STANDARD)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_the_standard_librarys_error(
    mistake: Callable[[SimpleNamespace], object],
) -> None:
    def error(of: SimpleNamespace) -> type[Exception]:
        with pytest.raises((TypeError, AttributeError, ValueError)) as raised:
            mistake(of)
        kinds = (TypeError, AttributeError, ValueError)
        return next(kind for kind in kinds if isinstance(raised.value, kind))

    assert error(OURS) is error(STANDARD)


def test_a_dataclass_that_can_be_changed_is_not_made() -> None:
    with pytest.raises(TypeError, match="frozen"):
        values.dataclass(frozen=False, slots=True)


def test_a_step_matches_its_pattern() -> None:
    match steps.BringUp("vcan0", None, "can1"):
        case steps.BringUp(bus, endpoint, name):
            assert (bus, endpoint, name) == ("vcan0", None, "can1")
        case _:
            pytest.fail("no match")
