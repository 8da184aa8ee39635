"""The session with Zenoh: sends and receives messages, sees other links come and go, pings them."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import zenoh

from evercan.link.clock import Ping
from evercan.link.names import LinkId, frames_key, host_of, link_key, link_of, links_key

_CLOCK = struct.Struct("<Q")
_CLOSE_SECONDS = 1.0
_PING_SECONDS = 2.0
_T = TypeVar("_T")

Session = zenoh.Session


class CannotOpen(OSError):  # noqa: N818 - reads as the fact that it states
    """A session cannot be opened: an address is in use, or a certificate cannot be read."""


def open_session(config: dict[str, Any]) -> zenoh.Session:
    """Open a session.

    Args:
        config: as `zenoh_config.session_config` returns it.

    Raises:
        CannotOpen: an address cannot be listened on, or a certificate cannot be read.
    """
    values = zenoh.Config()
    for path, value in config.items():
        values.insert_json5(path, json.dumps(value))
    try:
        return zenoh.open(values)
    except zenoh.ZError as error:
        raise CannotOpen(str(error)) from error


class Network:
    """The other links of a bus, through Zenoh.

    Attributes:
        sending_since: when the thread that sends began to wait for Zenoh, by the monotonic clock
            in ns; 0 while it does not wait.
    """

    def __init__(
        self, session: zenoh.Session, bus: str, own: LinkId, failed: Callable[[Exception], None]
    ) -> None:
        """Take what the network needs.

        Args:
            session: an open session.
            bus: the bus's name.
            own: this link.
            failed: takes an unforeseen error of a function that Zenoh has called.
        """
        self.sending_since = 0
        self._failed = failed
        self._session = session
        self._bus, self._own = bus, own
        # One priority for all frames of a host, so that they keep their order.
        self._publisher = session.declare_publisher(
            frames_key(bus, own.host),
            congestion_control=zenoh.CongestionControl.DROP,
            priority=zenoh.Priority.INTERACTIVE_HIGH,
            reliability=zenoh.Reliability.RELIABLE,
        )
        self._declared: list[object] = []

    def start(
        self,
        received: Callable[[str, bytes], None],
        joined: Callable[[LinkId], None],
        left: Callable[[LinkId], None],
    ) -> None:
        """Begin to receive; the functions are called in threads of Zenoh and must not block.

        Args:
            received: takes the host and the bytes of a message.
            joined: takes a link that is there.
            left: takes a link that has gone.
        """

        @self._guarded
        def on_sample(sample: zenoh.Sample) -> None:
            received(host_of(str(sample.key_expr)), sample.payload.to_bytes())

        @self._guarded
        def on_token(sample: zenoh.Sample) -> None:
            link = link_of(str(sample.key_expr))
            if link is not None:
                (joined if sample.kind == zenoh.SampleKind.PUT else left)(link)

        @self._guarded
        def on_ping(query: zenoh.Query) -> None:
            with query:
                # It has the priority of the question.
                query.reply(query.key_expr, _CLOCK.pack(time.monotonic_ns()), express=True)

        # Zenoh's own thread calls it: a queue between would cost a wake-up for each message, and
        # would keep messages in memory where the connection can hold them back.
        directly = zenoh.handlers.Callback(on_sample, indirect=False)
        own = link_key(self._bus, self._own)
        everybody = links_key(self._bus)
        liveliness = self._session.liveliness()
        self._declared += [
            self._session.declare_queryable(own, on_ping, complete=True),
            liveliness.declare_subscriber(everybody, on_token, history=True),
            liveliness.declare_token(own),
            self._session.declare_subscriber(
                frames_key(self._bus, "*"), directly, allowed_origin=zenoh.Locality.REMOTE
            ),
        ]

    def _guarded(self, callback: Callable[[_T], None]) -> Callable[[_T], None]:
        """Report an error of a function that Zenoh calls; Zenoh would drop it."""

        @wraps(callback)
        def guarded(value: _T) -> None:
            try:
                callback(value)
            except Exception as error:  # noqa: BLE001 - whatever it is
                self._failed(error)

        return guarded

    def send(self, data: bytes) -> None:
        """Send a message to all links; it is dropped if the network has no room for it."""
        self.sending_since = time.monotonic_ns()
        self._publisher.put(data)
        self.sending_since = 0

    def ping(self, link: LinkId, answered: Callable[[LinkId, Ping], None]) -> None:
        """Ask a link for its clock; the answer comes in a thread of Zenoh, or never."""
        sent = time.monotonic_ns()

        @self._guarded
        def on_reply(reply: zenoh.Reply) -> None:
            received = time.monotonic_ns()
            data = reply.ok.payload.to_bytes() if reply.ok else b""
            if len(data) == _CLOCK.size:
                (remote,) = _CLOCK.unpack(data)
                answered(link, Ping(sent, remote, received))

        self._session.get(
            link_key(self._bus, link),
            on_reply,
            timeout=_PING_SECONDS,
            congestion_control=zenoh.CongestionControl.DROP,
            priority=zenoh.Priority.REAL_TIME,
            express=True,
        )

    def connections(self) -> list[str]:
        """Return whom the connections are with: the names in certificates, empty without TLS."""
        return [link.auth_identifier or "" for link in self._session.info.links()]

    def close(self) -> None:
        """Close the session, so that others notice at once; give up after a second."""
        closing = threading.Thread(target=self._session.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
