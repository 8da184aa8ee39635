"""Every error has its text and its remedy apart, and a copy keeps everything."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evercan.errors
from evercan.errors import (
    CannotServe,
    EvercanError,
    InternalFault,
    KernelError,
    ModuleMissing,
    OptionError,
    RequestError,
    SettingsError,
    StateError,
    StateUnreadable,
    UnknownNetwork,
    named,
    printable,
    shown,
    symbol,
)

CAUSE = ZeroDivisionError("a bug")

ERRORS: list[EvercanError] = [
    EvercanError("it happened", "do this"),
    RequestError("the request is wrong", "send another"),
    OptionError("vxcan.id", "abc", "it is not a number", "give a number"),
    UnknownNetwork("f" * 64),
    SettingsError(["EVERCAN_METRICS='x': it is wrong", "EVERCAN_RECOVERY='y': it is wrong"]),
    StateError("cannot write state.json", "free some space"),
    StateUnreadable("cannot read state.json", "repair the disk"),
    CannotServe("the bus interface is missing", "create it"),
    InternalFault(CAUSE),
    KernelError("delete interface vcan0", errno.EPERM, "grant CAP_NET_ADMIN"),
    ModuleMissing("can-gw"),
]
WITHOUT_REMEDY = (SettingsError,)
"""Errors whose text names the remedy of each of several mistakes."""


def tree(root: type[EvercanError]) -> Iterator[type[EvercanError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == evercan.errors.__name__:
            yield from tree(child)


def test_every_error_is_tried_here_and_is_in_the_docstring() -> None:
    assert {type(error) for error in ERRORS} == set(tree(EvercanError))
    for error in ERRORS:
        assert type(error).__name__ in (evercan.errors.__doc__ or "")


every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


@every_error
def test_text_and_remedy_are_apart(error: EvercanError) -> None:
    assert error.text
    if isinstance(error, WITHOUT_REMEDY):
        assert error.remedy == ""
        assert str(error) == error.text
    else:
        assert error.remedy
        assert error.remedy not in error.text
        assert str(error) == f"{error.text}; {error.remedy}"


@every_error
def test_a_copy_keeps_the_type_the_texts_and_everything_else(error: EvercanError) -> None:
    copied = copy(error)
    assert copied is not error
    assert type(copied) is type(error)
    assert (copied.text, copied.remedy) == (error.text, error.remedy)
    assert str(copied) == str(error)
    assert copied.args == error.args
    assert vars(copied) == vars(error)
    assert copied.__cause__ is error.__cause__


@every_error
def test_a_copy_that_is_raised_leaves_the_original_without_a_traceback(
    error: EvercanError,
) -> None:
    with pytest.raises(type(error)) as raised:
        raise copy(error)
    assert raised.value.__traceback__ is not None
    assert error.__traceback__ is None


def test_an_option_error_names_the_option_and_its_value() -> None:
    error = OptionError("vxcan.id", "abc", "it is not a number", "give a number")
    assert error.option == "vxcan.id"
    assert error.text == "option vxcan.id='abc': it is not a number"


def test_a_kernel_error_names_the_errno() -> None:
    error = KernelError("delete interface vcan0", errno.EPERM, "grant CAP_NET_ADMIN")
    assert error.code == errno.EPERM
    assert error.text == "delete interface vcan0: Operation not permitted (EPERM)"


def test_a_missing_module_names_the_command_that_loads_it() -> None:
    error = ModuleMissing("vcan")
    assert (error.module, error.code) == ("vcan", errno.EOPNOTSUPP)
    assert "modprobe vcan" in error.remedy
    assert "modprobe" not in error.text


def test_an_internal_fault_has_its_cause() -> None:
    error = InternalFault(CAUSE)
    assert error.__cause__ is CAUSE
    assert repr(CAUSE) in error.text
    assert copy(error).__cause__ is CAUSE


def test_all_mistakes_of_the_settings_are_in_the_text() -> None:
    error = SettingsError(["one", "two"])
    assert (error.text, error.mistakes) == ("one; two", ["one", "two"])


def test_the_same_number_is_named_as_the_kernel_means_it() -> None:
    assert symbol(errno.EOPNOTSUPP) == "EOPNOTSUPP"
    assert symbol(99_999) == "?"


def test_a_value_is_shown_in_few_characters() -> None:
    assert shown("x" * 500) == repr("x" * 500)[:80] + "…"
    assert shown("can0") == "'can0'"
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(shown(deep)) <= 81


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain text, büs → 可", "plain text, büs → 可"),
        ("a\nERROR forged", "a\\nERROR forged"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\r\x00\x7f\x9b", "\\r\\x00\\x7f\\x9b"),
        ("\u202e\u2028", "\\u202e\\u2028"),
        (b"b\xfcs".decode(errors="surrogateescape"), "b\\xfcs"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, escaped: str) -> None:
    assert printable(text) == escaped


@given(st.text())
def test_a_printable_text_is_one_line_of_utf8(text: str) -> None:
    written = printable(text)
    assert written.isprintable()
    assert written.encode().decode() == written


def test_the_name_of_an_option_is_escaped_and_short() -> None:
    error = OptionError("vxcan.a\n\x1b[2J", "x", "unknown option", "")
    assert str(error) == "option vxcan.a\\n\\x1b[2J='x': unknown option"
    assert len(named("\n" * 1000)) == 81
