"""Creates named tuples and frozen dataclasses without generating code, so that the start is fast.

``typing.NamedTuple`` and ``dataclasses.dataclass`` write and compile code for each class, which
took a fifth of the start. The classes made here share their methods instead. A type checker sees
the originals, and ``tests/unit/test_values.py`` compares the two.

An instance takes longer to create than one of the originals, so use those for classes of which
a pass creates tens of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

__all__ = ["NamedTuple", "dataclass", "field", "fields_of", "replace"]

_T = TypeVar("_T")
_Factory = Callable[[], Any]


def _always(value: object) -> _Factory:
    return lambda: value


class _Fields:
    """The fields of a class, and how its constructor takes them.

    Attributes:
        names: all of them, in order.
        positional: those that may be given without their name.
        defaults: what makes the value of a field that is not given.
    """

    def __init__(
        self, names: tuple[str, ...], positional: tuple[str, ...], defaults: Mapping[str, _Factory]
    ) -> None:
        self.names = names
        self.positional = positional
        self.defaults = defaults

    def values(self, cls: type, args: tuple[Any, ...], given: dict[str, Any]) -> list[Any]:
        """Return a value for each field.

        Raises:
            TypeError: the arguments do not fit, as with any function.
        """
        if len(args) > len(self.positional):
            raise TypeError(f"{cls.__name__}() takes {len(self.positional)} positional arguments")
        for name, value in zip(self.positional, args, strict=False):
            if name in given:
                raise TypeError(f"{cls.__name__}() got two values for {name!r}")
            given[name] = value
        try:
            values = [
                given.pop(name) if name in given else self.defaults[name]() for name in self.names
            ]
        except KeyError as error:
            raise TypeError(f"{cls.__name__}() lacks {error.args[0]!r}") from None
        if given:
            raise TypeError(f"{cls.__name__}() has no {', '.join(given)}")
        return values

    def shown(self, value: object) -> str:
        """Return what ``repr`` shows of a value of the class."""
        pairs = ", ".join(f"{name}={getattr(value, name)!r}" for name in self.names)
        return f"{type(value).__qualname__}({pairs})"


def _names(namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that the body of a class declares."""
    annotations: dict[str, Any] = namespace.get("__annotations__", {})
    return tuple(name for name, kind in annotations.items() if "ClassVar" not in str(kind))


class _NamedTupleType(type):
    """Makes a named tuple of a class body."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> _NamedTupleType:
        names = _names(namespace)
        defaults = {name: _always(namespace[name]) for name in names if name in namespace}
        namespace |= {name: property(itemgetter(index)) for index, name in enumerate(names)}
        namespace["__slots__"] = ()
        namespace["__match_args__"] = namespace["_fields"] = names
        namespace["_of_class"] = _Fields(names, names, defaults)
        return super().__new__(cls, name, bases, namespace)


class _NamedTuple(tuple[Any, ...], metaclass=_NamedTupleType):
    """Stands for ``typing.NamedTuple``."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]]
    _of_class: ClassVar[_Fields]

    def __new__(cls, *args: Any, **given: Any) -> Self:
        if given or len(args) != len(cls._fields):
            args = tuple(cls._of_class.values(cls, args, given))
        return tuple.__new__(cls, args)

    def __repr__(self) -> str:
        return self._of_class.shown(self)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def _replace(self, **changes: Any) -> Self:
        return type(self)(**{**self._asdict(), **changes})


class _Field:
    """How a field gets its default, and whether two values that differ in it are equal."""

    def __init__(self, default: _Factory, *, compare: bool = True) -> None:
        self.default = default
        self.compare = compare


def _field(
    *, default: Any = None, default_factory: _Factory | None = None, compare: bool = True
) -> Any:
    """Stands for ``dataclasses.field``; each field has a default."""
    return _Field(default_factory or _always(default), compare=compare)


class _Frozen:
    """The methods of all frozen dataclasses."""

    __slots__ = ()

    if TYPE_CHECKING:  # so that they are no type hints of each class
        _of_class: ClassVar[_Fields]
        _compared: Any  # a property of each class: all that two equal values agree in

    def __init__(self, *args: Any, **given: Any) -> None:
        values = self._of_class.values(type(self), args, given)
        for name, value in zip(self._of_class.names, values, strict=True):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return self._of_class.shown(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Frozen) or type(other) is not type(self):
            return NotImplemented
        return bool(self._compared == other._compared)

    def __hash__(self) -> int:
        return hash(self._compared)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete field {name!r}")


def _dataclass(
    *, frozen: bool, slots: bool, kw_only: bool = False
) -> Callable[[type[_T]], type[_T]]:
    """Stands for ``dataclasses.dataclass`` with ``frozen`` and ``slots``."""
    if not (frozen and slots):
        raise TypeError("only frozen dataclasses with slots are made here")

    def create(cls: type[_T]) -> type[_T]:
        # A class with slots has to be created again, because its body had none.
        namespace = dict(vars(cls))
        del namespace["__dict__"], namespace["__weakref__"]
        names = _names(namespace)
        given = {name: namespace.pop(name) for name in names if name in namespace}
        fields = {
            name: value if isinstance(value, _Field) else _Field(_always(value))
            for name, value in given.items()
        }
        positional = () if kw_only else names
        namespace["__slots__"] = names
        namespace["__match_args__"] = positional
        namespace["_of_class"] = _Fields(
            names, positional, {name: field.default for name, field in fields.items()}
        )
        compared = [name for name in names if name not in fields or fields[name].compare]
        namespace["_compared"] = property(attrgetter(*compared))
        namespace["__qualname__"] = cls.__qualname__
        return cast("type[_T]", type(cls.__name__, (_Frozen,), namespace))

    return create


def fields_of(value: object) -> dict[str, Any]:
    """Return the fields of a dataclass that was made here, by name."""
    names: tuple[str, ...] = type(value).__slots__  # type: ignore[attr-defined] # all have it
    return {name: getattr(value, name) for name in names}


def _replace(value: _T, **changes: Any) -> _T:
    """Stands for ``dataclasses.replace``."""
    return type(value)(**{**fields_of(value), **changes})


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
    from typing import NamedTuple
else:
    NamedTuple, dataclass, field, replace = _NamedTuple, _dataclass, _field, _replace
