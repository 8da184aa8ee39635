"""Makes a bus without the plugin: its interfaces and rules."""

from __future__ import annotations

import socket
import struct
from itertools import islice, permutations

from bench.host_tasks.processes import BUS, ip_batch, wipe

HOST_END = "h{}"
ECHO, IIF_TX_OK = 1, 4


def add_rules(rules: list[tuple[int, int, int]]) -> None:
    """Add classic rules (source, target, flags) over netlink in batches."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.bind((0, 0))
        for at in range(0, len(rules), 100):
            part = rules[at : at + 100]
            payloads = [
                struct.pack("=BBHHHB3xHHIHHI", 29, 1, flags, 5, 13, 1, 8, 9, source, 8, 10, target)
                for source, target, flags in part
            ]
            last = len(part) - 1
            netlink.send(b"".join(
                struct.pack(
                    "=IHHII", 16 + len(payload), 24, 0x405 if i == last else 0x401, i + 1, 0
                )
                + payload
                for i, payload in enumerate(payloads)
            ))  # fmt: skip
            answer = netlink.recv(65536)
            if struct.unpack_from("=i", answer, 16)[0]:
                raise SystemExit("the kernel rejected a rule")


def make_mesh(size: int, *, echo_everywhere: bool = False) -> None:
    """Make a bus with members h1, h2 …, whose other ends c1, c2 … stay on the host."""
    wipe()
    batch = [f"link add {BUS} type vcan", f"link set {BUS} up"]
    for number in range(1, size + 1):
        one, other = HOST_END.format(number), f"c{number}"
        batch += [
            f"link add {one} type vxcan peer name {other}",
            f"link set {one} up", f"link set {other} up",
        ]  # fmt: skip
    ip_batch(*batch)
    bus = socket.if_nametoindex(BUS)
    ends = [socket.if_nametoindex(HOST_END.format(n)) for n in range(1, size + 1)]
    add_rules([
        (source, target, IIF_TX_OK | (ECHO if echo_everywhere or target == bus else 0))
        for source in (bus, *ends) for target in (bus, *ends) if source != target
    ])  # fmt: skip


def add_foreign(links: int, rules: int) -> None:
    """Add interfaces and rules that have nothing to do with the plugin."""
    found = [f"foreign{number}" for number in range(links)]
    ip_batch(*(f"link add {name} type vcan" for name in found))
    indexes = map(socket.if_nametoindex, found)
    pairs = islice(permutations(indexes, 2), rules)
    add_rules([(source, target, IIF_TX_OK) for source, target in pairs])
