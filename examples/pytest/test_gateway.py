"""A container on a CAN bus, tested from the host: the fixtures are those of evercan[testing]."""

import can
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

IMAGE = "evercan/can-tools"


def test_a_container_receives_what_the_test_sends(can_network, can_bus):
    with (
        DockerContainer(IMAGE).with_command("candump -L can0").with_network(can_network) as listener
    ):
        message = can.Message(arbitration_id=0x123, data=b"\xc0\xff\xee", is_extended_id=False)

        def received(log: str) -> bool:
            can_bus.send(message)  # until the program in the container listens
            return "123#C0FFEE" in log

        wait_for_logs(listener, received, timeout=20)


def test_the_test_receives_what_a_container_sends(can_network, can_bus):
    cangen = DockerContainer(IMAGE).with_command("cangen can0 -g 50 -I 456")
    with cangen.with_network(can_network):
        message = can_bus.recv(timeout=20)
    assert message is not None
    assert message.arbitration_id == 0x456
