"""Fifty endpoints join at once, by the engine's calls and without the cost of fifty containers."""

from __future__ import annotations

import json

import pytest

from lab.rules import mesh_problems, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus

MEMBERS, LEAVING = 50, 10

# Runs on the host: sends what the engine sends for that many containers at the same time.
CALLS = """
import glob, http.client, json, socket, sys
from concurrent.futures import ThreadPoolExecutor
network, verbs, first, last = sys.argv[1], sys.argv[2].split(","), *map(int, sys.argv[3:])
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(glob.glob("/run/docker/plugins/*/evercan.sock")[0])
def send(number):
    answers = []
    for verb in verbs:
        ids = {"NetworkID": network, "EndpointID": f"{number:08x}" * 8}
        connection = Connection("plugin")
        connection.request("POST", "/NetworkDriver." + verb, json.dumps(ids))
        response = connection.getresponse()
        answers.append([response.status, response.read().decode()])
    return answers
numbers = range(first, last + 1)
with ThreadPoolExecutor(len(numbers)) as pool:
    answers = list(pool.map(send, numbers))
print(json.dumps(answers))
"""


def call_all(testbed: Testbed, bus: Bus, verbs: str, endpoints: range) -> None:
    """Send some calls for endpoints at once; each must be answered without an error."""
    ends = (str(endpoints[0]), str(endpoints[-1]))
    answer = testbed.host("python3", "-c", CALLS, bus.network_id, verbs, *ends, timeout=120)
    answers = [one for endpoint in json.loads(answer.stdout) for one in endpoint]
    assert [text for status, text in answers if status != 200] == []


@pytest.mark.thorough
def test_fifty_join_at_once_and_leave_in_groups(bus: Bus, testbed: Testbed) -> None:
    members = range(1, MEMBERS + 1)
    call_all(testbed, bus, "CreateEndpoint,Join", members)
    ends = [f"vxcan{number:08x}" for number in members]
    assert set(ends) <= set(bus.links())
    table = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
    assert mesh_problems(table, bus.interface, ends) == []
    # A busy emulated guest takes up to 0.2 s to delete a link, and a call is ended after 8 s.
    for first in range(0, MEMBERS, LEAVING):
        call_all(testbed, bus, "Leave,DeleteEndpoint", members[first : first + LEAVING])
    assert not set(ends) & set(bus.links())
    table = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
    assert bus.interface not in {job.source for job in table}
