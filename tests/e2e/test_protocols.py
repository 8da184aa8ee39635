"""ISO-TP, J1939 and the broadcast manager (BCM) between two containers; a third one listens."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from lab.frames import ReceivedFrame, parse_candump
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tools.common.polling import attempts

PRELUDE = """
import ctypes, json, os, socket, struct, sys

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

def inside(pid, *kind):
    "Return a socket in the network namespace of a process."
    with open(f"/proc/{pid}/ns/net") as namespace:
        # os.setns is new in Python 3.12; the host may have an older one.
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    made = socket.socket(socket.AF_CAN, *kind)
    made.settimeout(20)
    return made

sender_pid, receiver_pid = sys.argv[1:]
"""
"""A socket stays in the namespace in which it was made, so one process can have both ends."""

ISOTP = """
kind = socket.SOCK_DGRAM, socket.CAN_ISOTP
sender, receiver = inside(sender_pid, *kind), inside(receiver_pid, *kind)
sender.bind(("can0", 0x6F1, 0x6F0))
receiver.bind(("can0", 0x6F0, 0x6F1))
payloads = [bytes(n % 256 for n in range(size)) for size in (5, 300, 1000)]
for payload in payloads:
    sender.send(payload)
    assert receiver.recv(5000) == payload, len(payload)
receiver.settimeout(1)
try:
    print(json.dumps({"more": receiver.recv(5000).hex()}))
except TimeoutError:
    print(json.dumps({"received": len(payloads)}))
"""

J1939 = """
kind = socket.SOCK_DGRAM, socket.CAN_J1939
sender, receiver = inside(sender_pid, *kind), inside(receiver_pid, *kind)
NO_NAME, NO_PGN, PGN = socket.J1939_NO_NAME, socket.J1939_NO_PGN, 0x12300
sender.bind(("can0", NO_NAME, NO_PGN, 0x40))
receiver.bind(("can0", NO_NAME, NO_PGN, 0x80))
payloads = [bytes(n % 256 for n in range(size)) for size in (8, 100, 1000)]
for payload in payloads:
    sender.sendto(payload, ("can0", NO_NAME, PGN, 0x80))
    got, (_, _, pgn, address) = receiver.recvfrom(5000)
    assert (got, pgn, address) == (payload, PGN, 0x40), (len(got), pgn, address)
receiver.settimeout(1)
try:
    print(json.dumps({"more": receiver.recv(5000).hex()}))
except TimeoutError:
    print(json.dumps({"received": len(payloads)}))
"""

BCM = """
kind = socket.SOCK_DGRAM, socket.CAN_BCM
sender, receiver = inside(sender_pid, *kind), inside(receiver_pid, *kind)
SENT, ID, FRAME = 10, 0x6F5, struct.Struct("=IB3x8s")

def head(opcode, flags, count, milliseconds, frames):
    "Pack struct bcm_msg_head: two timers of seconds and microseconds."
    seconds, rest = divmod(milliseconds * 1000, 1_000_000)
    return struct.pack("@IIIllllII0q", opcode, flags, count, 0, 0, seconds, rest, ID, frames)

sender.connect(("can0",))
receiver.connect(("can0",))
# All frames of the id, also those that have the same data as the one before.
receiver.send(head(socket.CAN_BCM_RX_SETUP, socket.CAN_BCM_RX_FILTER_ID, 0, 0, 0))
# Count times with the first interval, which is 0 here; then with the second, until it is deleted.
for number in range(SENT):
    frame = FRAME.pack(ID, 1, bytes([number]))
    sender.send(head(socket.CAN_BCM_TX_SEND, 0, 0, 0, 1) + frame)
data = []
for _ in range(SENT):
    message = receiver.recv(200)
    assert struct.unpack_from("@I", message)[0] == socket.CAN_BCM_RX_CHANGED
    data.append(FRAME.unpack_from(message, len(message) - FRAME.size)[2][0])
assert data == list(range(SENT)), data
flags = socket.CAN_BCM_SETTIMER | socket.CAN_BCM_STARTTIMER
sender.send(head(socket.CAN_BCM_TX_SETUP, flags, 0, 20, 1) + FRAME.pack(ID, 1, b"\\xaa"))
for _ in range(5):
    assert FRAME.unpack(receiver.recv(200)[-FRAME.size:])[2][0] == 0xAA
sender.send(head(socket.CAN_BCM_TX_DELETE, 0, 0, 0, 0))
print(json.dumps({"received": SENT}))
"""


@pytest.mark.parametrize(
    ("module", "script", "received"),
    [("can-isotp", ISOTP, 3), ("can-j1939", J1939, 3), ("can-bcm", BCM, 10)],
    ids=["ISO-TP", "J1939", "BCM"],
)
def test_a_protocol_works_between_containers(
    testbed: Testbed, trio: Bus, module: str, script: str, received: int
) -> None:
    testbed.host("modprobe", module)
    pids = []
    for container in trio.containers[:2]:
        container.reload()
        pids.append(str(container.attrs["State"]["Pid"]))
    members = trio.members(by_exec=False)
    starts = [len(member.received()) for member in members]
    done = testbed.host("python3", "-c", PRELUDE + script, *pids)
    assert json.loads(done.stdout) == {"received": received}

    def frames() -> list[Counter[ReceivedFrame]]:
        return [
            Counter(parse_candump(member.received()[start:]))
            for member, start in zip(members, starts, strict=True)
        ]

    def differences() -> list[Counter[ReceivedFrame]]:
        first, *others = frames()
        return [part for other in others for part in (first - other, other - first) if part]

    # A container sees its own frames by an echo that no rule makes: doubled frames differ from it.
    for _ in attempts(20, 0.5):
        if not differences():
            break
    assert differences() == []
    assert frames()[0].total() >= received
