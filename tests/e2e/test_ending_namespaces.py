"""The plugin answers and repairs while network namespaces with its interfaces end."""

from __future__ import annotations

import json

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems

# Runs on the host. Plays the engine and containers: endpoints join a network, their ends move
# into namespaces, and all of these end at once, while the plugin is asked without a pause.
# Meanwhile it dumps the links itself, to see that the kernel shows what this test is about: a
# pair whose IFLA_LINK_NETNSID is -1.
PROGRAM = r"""
import glob, http.client, json, socket, struct, subprocess, sys, threading, time

network, rounds, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
answers, unknown, stop = [], [], threading.Event()

class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(glob.glob("/run/docker/plugins/*/evercan.sock")[0])

def ask(method, path, **body):
    connection = Connection("plugin")
    connection.request(method, path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text

def call(verb, endpoint):
    answer = ask("POST", "/NetworkDriver." + verb, NetworkID=network, EndpointID=endpoint)
    assert answer[0] == 200, answer
    return json.loads(answer[1])

def watch_plugin():
    while not stop.is_set():
        for page in ("/health", "/status"):
            answers.append(ask("GET", page)[0])

def watch_links():
    dump = struct.pack("=IHHIIBxHiII", 32, 18, 0x301, 0, 0, 0, 0, 0, 0, 0)
    while not stop.is_set():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.send(dump)
            data = b""
            while data[4:6] != bytes((3, 0)):
                data = netlink.recv(1 << 16)
                unknown.append(data.count(struct.pack("=HHi", 8, 37, -1)))

def batch(lines):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)

threads = [threading.Thread(target=watch, daemon=True) for watch in (watch_plugin, watch_links)]
for thread in threads:
    thread.start()
for turn in range(rounds):
    if turn > 1 and any(unknown):
        break  # seen; how long the kernel shows it depends on the machine
    endpoints = [f"{turn * number + n + 0xA0000000:08x}" * 8 for n in range(number)]
    names = [f"evercan-{n}" for n in range(number)]
    batch([f"netns add {name}" for name in names])
    for name in names:  # interfaces that make its end take longer
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=b"link add type vcan\n" * 20)
    for endpoint, name in zip(endpoints, names):
        source = call("Join", endpoint)["InterfaceName"]["SrcName"]
        batch([f"link set {source} netns {name}"])
        subprocess.run(["ip", "-n", name, "link", "set", source, "name", "can0", "up"], check=True)
    batch([f"netns del {name}" for name in names])
    time.sleep(0.5)
    for endpoint in endpoints:
        call("Leave", endpoint)
        call("DeleteEndpoint", endpoint)
stop.set()
for thread in threads:
    thread.join()
print(json.dumps({"answers": sorted(set(answers)), "asked": len(answers), "unknown": sum(unknown)}))
"""


def test_calls_are_answered_and_nothing_fails_while_namespaces_end(
    bus: Bus, testbed: Testbed, plugin: PluginProcess
) -> None:
    before, since = plugin.pid(), testbed.now()
    bus.start(1)
    program = ["python3", "-c", PROGRAM, bus.network_id, "20", "3"]
    seen = json.loads(testbed.host(*program, timeout=400).stdout)
    assert seen["unknown"] > 0, seen
    assert set(seen["answers"]) <= {200, 503}, seen
    assert plugin.pid() == before
    assert_no_problems(plugin)
    journal = testbed.journal(since)
    assert [
        word for word in ("Traceback", "internal-error", "struct.error") if word in journal
    ] == []
    # Events still cause repairs.
    [end] = bus.host_ends()
    testbed.host("ip", "link", "set", end, "down")
    bus.wait(lambda: "UP" in bus.links()[end]["flags"], "the repair", 4)
    bus.assert_healthy(3)
