"""A table of the kernel that is read again and again; an unchanged dump is not decoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from evercan.kernel.netlink import Message, NetlinkSocket

_T = TypeVar("_T")


class Table(Generic[_T]):
    """Dumps a table and decodes it, unless the kernel sends the same bytes as the last two times.

    At rest nearly all time of a pass would be that of decoding thousands of messages that are
    the same as before. Datagrams are compared by Python's keyed 64-bit hash (SipHash), so that
    they need not be kept. Once a dump has changed, the next one is decoded as it comes: a table
    that changes all the time is not read twice.
    """

    def __init__(
        self, netlink: NetlinkSocket, message: Message, decode: Callable[[Iterator[bytes]], _T]
    ) -> None:
        """Take the request, and what makes a value of its datagrams, which nobody may change."""
        self._netlink = netlink
        self._message = message
        self._decode = decode
        self._known: tuple[tuple[int, ...], _T] | None = None
        self._is_at_rest = False

    def read(self) -> _T:
        """Return what the table holds now.

        Raises:
            KernelError: the kernel rejected the dump.
        """
        if self._is_at_rest and self._known is not None:
            seen, value = self._known
            if self._netlink.read(self._message, _hashes) == seen:
                return value
        return self._netlink.read(self._message, self._decode_and_note)

    def _decode_and_note(self, chunks: Iterable[bytes]) -> _T:
        seen: list[int] = []

        def noted() -> Iterator[bytes]:
            for data in chunks:
                seen.append(hash(data))
                yield data

        value = self._decode(noted())
        known, self._known = self._known, (tuple(seen), value)
        self._is_at_rest = known is not None and known[0] == self._known[0]
        return value


def _hashes(chunks: Iterable[bytes]) -> tuple[int, ...]:
    return tuple(map(hash, chunks))
