"""Sets the filters of many lists, one after another, and sends frames through each.

Runs on a testbed's host in a network namespace of its own, with its Python and a copy of evercan:
``python3 access_lists.py < request.json``. A request has ``lists`` and ``can_ids``. The answer
has for each list the ids that passed when a member with it sent them, and when it was to receive
them; an id that arrived twice is there twice.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from evercan.kernel.rtnetlink import RtnetlinkKernel
from evercan.model.access import Access, receive_filters, send_filters
from evercan.model.rule_list import RuleList
from evercan.model.steps import AddRules, MakeBus, MakeFilterInterface, MakePair, SetFilters
from evercan.planning.rules import mesh


def _opened(interface: str, pid: int | None = None) -> socket.socket:
    """Open a socket on an interface, in the namespace of a process if one is given."""
    set_namespace = ctypes.CDLL(None).setns
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if pid is not None:
        with Path(f"/proc/{pid}/ns/net").open() as namespace:
            assert set_namespace(namespace.fileno(), 0) == 0
    opened = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    assert set_namespace(own, 0) == 0
    os.close(own)
    opened.setsockopt(101, 5, 1)  # CAN_RAW_FD_FRAMES
    opened.bind((interface,))
    opened.settimeout(0.0)
    return opened


def _passed(source: socket.socket, target: socket.socket, can_ids: list[int]) -> list[int]:
    """Send each id as a classic frame and as an FD frame, and return the ids that arrive."""
    for can_id in can_ids:
        source.send(struct.pack("=IB3x8x", can_id, 8))
        source.send(struct.pack("=IB3x64x", can_id, 64))
    time.sleep(0.01)
    found: list[int] = []
    while True:
        try:
            frame = target.recv(128)
        except BlockingIOError:
            return found
        found.append(struct.unpack_from("=I", frame)[0])


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    kernel = RtnetlinkKernel()
    pair, between = MakePair("", "", "vxcan1", "vxcan1p"), MakeFilterInterface("", "", "vxcan1f")
    assert kernel.apply([MakeBus("vcan0"), pair, between]) == []
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as container:
        mine = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{container.pid}/ns/net").readlink() == mine:
            time.sleep(0.01)
        ip = ("nsenter", "--net", "--target", str(container.pid), "ip")
        subprocess.run(["ip", "link", "set", "vxcan1p", "netns", str(container.pid)], check=True)
        subprocess.run([*ip, "link", "set", "vxcan1p", "up"], check=True)
        links = kernel.observe().links
        bus, host_end, member = (links[name].index for name in ("vcan0", "vxcan1", "vxcan1f"))
        assert kernel.apply([AddRules("vcan0", RuleList(mesh([bus], [member])))]) == []
        inside, outside = _opened("vxcan1p", container.pid), _opened("vcan0")
        answer = []
        for text in request["lists"]:
            send = send_filters(Access(send=text), member)
            receive = receive_filters(Access(receive=text), host_end)
            steps = [
                SetFilters("", "", host_end, "vxcan1", True, send),
                SetFilters("", "", member, "vxcan1f", False, receive),
            ]
            assert kernel.apply(steps) == [], text
            assert kernel.observe().filters == {host_end: send, member: receive}, text
            answer.append(
                [
                    _passed(inside, outside, request["can_ids"]),
                    _passed(outside, inside, request["can_ids"]),
                ]
            )
        container.kill()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
