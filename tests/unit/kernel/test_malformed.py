"""Bytes that no kernel should send: each is an error of the kernel's, and no loop hangs."""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evercan.errors import KernelError
from evercan.kernel import can_gw
from evercan.kernel.events import LinkEvents, NamespaceEvents
from evercan.kernel.rtnetlink import RtnetlinkKernel
from evercan.model.controller import ControllerSettings
from evercan.model.observed import Link
from evercan.model.rule import Rule
from evercan.model.rule_list import RuleList
from evercan.model.steps import AddRules, ConfigureBus, DeleteLink, MakeBus
from tests.support.netlink_peer import NetlinkPeer, Sent, attribute, done, error, part

BOUND = 120
"""Seconds after which a test counts as hanging."""


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    def hang(_: int, __: FrameType | None) -> None:
        raise AssertionError("a loop does not end")

    former = signal.signal(signal.SIGALRM, hang)
    signal.alarm(BOUND)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture(scope="module")
def kernel() -> Iterator[RtnetlinkKernel]:
    opened = RtnetlinkKernel()
    yield opened
    opened.close()


def answer_with(
    kernel: RtnetlinkKernel, monkeypatch: pytest.MonkeyPatch, answers: list[bytes]
) -> None:
    """Let the kernel answer every request with datagrams, addressed to the request."""

    def answer(sent: list[Sent]) -> list[bytes]:
        return [addressed(data, sent[-1]) for data in answers]

    netlink = kernel._netlink
    monkeypatch.setattr("evercan.kernel.netlink._open", lambda: NetlinkPeer(answer))
    netlink._socket.close()
    netlink._socket = NetlinkPeer(answer)  # type: ignore[assignment] # it has the methods used


def addressed(data: bytes, to: Sent) -> bytes:
    """Write a request's sequence number into the first message, so that it is read."""
    return data[:8] + struct.pack("=I", to.sequence) + data[12:] if len(data) >= 12 else data


NOBODY = Sent(0, 0, 0, b"")

CONTROLLER = attribute(
    18,
    attribute(1, b"can\0")
    + attribute(2, attribute(4, b"\1\0\0\0") + attribute(1, bytes(32)) + attribute(13, bytes(8)))
    + attribute(3, bytes(24)),
)
LINK = (
    struct.pack("=BxHiII", 0, 280, 7, 1, 0)
    + attribute(3, b"can0\0")
    + attribute(4, b"\x48\0\0\0")
    + attribute(5, b"\x09\0\0\0")
    + attribute(6, b"prio\0")
    + attribute(37, b"\1\0\0\0")
    + attribute(53, attribute(52, b"engine\0"))
    + CONTROLLER
)
RULE = can_gw.add(Rule(7, 9, 5, 1, b"")).payload

VALID = (
    part(16, LINK, NOBODY) * 3,
    part(24, RULE, NOBODY) * 3,
    part(24, RULE + attribute(7, b"\5\0\0\0"), NOBODY),
    done(NOBODY),
    done(NOBODY, code=16),
    error(NOBODY, 22, "no such thing"),
    error(NOBODY, 22, "no such thing", capped=False),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A datagram of the kernel's of which some bytes are missing or are others."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255) | st.sampled_from((0, 1, 4, 127, 128, 255)))
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


KINDS = st.sampled_from((2, 3, 16, 17, 24, 88, 89)) | st.integers(0, 0xFFFF)

DATAGRAMS = st.one_of(
    st.binary(max_size=200),
    damaged(),
    st.builds(lambda kind, payload: part(kind, payload, NOBODY), KINDS, st.binary(max_size=120)),
    st.builds(
        lambda kind, code: part(kind, struct.pack("=i", code), NOBODY),
        st.sampled_from((2, 3)),
        st.integers(-(2**31), 2**31 - 1),
    ),
)
ANSWERS = st.lists(DATAGRAMS, max_size=4).map(lambda some: [*some, done(NOBODY), error(NOBODY)])

BUS = Link(index=7, name="can0", kind="vxcan", peer_index=9, peer_nsid=1, is_can=True)
SETTINGS = ControllerSettings(bitrate=500_000)
CALLS: dict[str, Callable[[RtnetlinkKernel], Any]] = {
    "observe": RtnetlinkKernel.observe,
    "observe_with_counts": RtnetlinkKernel.observe_with_counts,
    "controller": lambda kernel: kernel.controller(7),
    "name_inside": lambda kernel: kernel.name_inside(BUS),
    "apply": lambda kernel: kernel.apply(
        [
            MakeBus("vcan0"),
            DeleteLink(9, "vcan1"),
            AddRules("vcan0", RuleList([Rule(7, 9, 5, 1, b"")])),
        ]
    ),
    "configure": lambda kernel: kernel.apply(
        [ConfigureBus("can0", 7, "can0", SETTINGS, SETTINGS, was_up=True)]
    ),
}


@pytest.mark.parametrize("name", CALLS)
@given(answers=ANSWERS)
@example(answers=[part(2, struct.pack("=i", -(2**31)), NOBODY)])
@example(answers=[part(3, struct.pack("=i", -(2**31)), NOBODY)])
def test_a_malformed_answer_is_an_error_of_the_kernel(
    name: str, kernel: RtnetlinkKernel, answers: list[bytes]
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        answer_with(kernel, monkeypatch, answers)
        with suppress(KernelError):
            CALLS[name](kernel)


class Announcer:
    """A socket that gives datagrams to a listener."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self.datagrams = datagrams

    def recv(self, _: int) -> bytes:
        if not self.datagrams:
            raise BlockingIOError
        return self.datagrams.pop(0)


@pytest.mark.parametrize("listener", [LinkEvents, NamespaceEvents])
@given(datagrams=st.lists(DATAGRAMS, max_size=4))
def test_a_malformed_announcement_is_ignored(
    listener: type[LinkEvents | NamespaceEvents], datagrams: list[bytes]
) -> None:
    events = listener.__new__(listener)
    events._socket = Announcer(list(datagrams))  # type: ignore[assignment] # it has recv
    events.drain()


def test_an_announcement_that_cannot_be_read_is_an_error_of_the_kernel() -> None:
    events = NamespaceEvents()
    events._socket.close()
    with pytest.raises(KernelError, match="EBADF"):
        events.drain()
