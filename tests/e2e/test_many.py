"""Fifty endpoints join at once, by the engine's calls and without the cost of fifty containers."""

from __future__ import annotations

import json

from lab.rules import mesh_problems, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus

MEMBERS = 50

# Runs on the host: sends what the engine sends for that many containers at the same time.
CALLS = """
import glob, http.client, json, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
network, verbs, members = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(glob.glob("/run/docker/plugins/*/evercan.sock")[0])
def send(number):
    statuses = []
    for verb in verbs:
        ids = {"NetworkID": network, "EndpointID": f"{number:08x}" * 8}
        connection = Connection("plugin")
        connection.request("POST", "/NetworkDriver." + verb, json.dumps(ids))
        statuses.append(connection.getresponse().status)
    return statuses
started = time.monotonic()
with ThreadPoolExecutor(members) as pool:
    statuses = list(pool.map(send, range(1, members + 1)))
print(json.dumps({"statuses": statuses, "seconds": time.monotonic() - started}))
"""


def call_all(testbed: Testbed, bus: Bus, verbs: str) -> float:
    """Send some calls for every endpoint; return the seconds that took."""
    answer = testbed.host("python3", "-c", CALLS, bus.network_id, verbs, str(MEMBERS), timeout=120)
    result = json.loads(answer.stdout)
    assert {status for statuses in result["statuses"] for status in statuses} == {200}
    return float(result["seconds"])


def test_fifty_join_at_once_and_leave_at_once(bus: Bus, testbed: Testbed) -> None:
    call_all(testbed, bus, "CreateEndpoint,Join")
    ends = [f"vxcan{number:08x}" for number in range(1, MEMBERS + 1)]
    assert set(ends) <= set(bus.links())
    table = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
    assert mesh_problems(table, bus.interface, ends) == []
    call_all(testbed, bus, "Leave,DeleteEndpoint")
    assert not set(ends) & set(bus.links())
    table = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
    assert bus.interface not in {job.source for job in table}
