from pathlib import Path

import pytest

from lab import qemu
from tools.common.architecture import ARCHITECTURES, Architecture

FILES = qemu.Files(
    kernel=Path("/i/vmlinuz"),
    initrd=Path("/i/initrd.img"),
    overlay=Path("/run,1/disk.qcow2"),
    console=Path("/run/console.log"),
    qmp=Path("/run/qmp"),
)


def argv(accel: qemu.Accel = "tcg", architecture: Architecture = "amd64") -> list[str]:
    hardware = qemu.Hardware(cpus=3, memory_mib=1024)
    return qemu.argv(architecture, "qemu", FILES, accel, hardware)


def values(option: str, of: list[str]) -> list[str]:
    return [of[i + 1] for i, word in enumerate(of) if word == option]


def test_two_controllers_share_one_wire_in_fixed_slots() -> None:
    controllers = [
        device for device in values("-device", argv()) if device.startswith("kvaser_pci")
    ]
    assert controllers == [
        "kvaser_pci,canbus=wire,id=kvaser0,addr=0x8",
        "kvaser_pci,canbus=wire,id=kvaser1,addr=0x9",
    ]
    assert values("-object", argv()) == ["can-bus,id=wire"]


def test_on_arm64_each_controller_is_behind_a_port_of_its_own() -> None:
    devices = values("-device", argv(architecture="arm64"))
    assert [device for device in devices if "port" in device] == [
        "pcie-root-port,id=port0,chassis=1,addr=0x8",
        "pcie-root-port,id=port1,chassis=2,addr=0x9",
        "pcie-root-port,id=port2,chassis=3,addr=0xa",
        "kvaser_pci,canbus=wire,id=kvaser0,bus=port0",
        "kvaser_pci,canbus=wire,id=kvaser1,bus=port1",
    ]


def test_the_ends_of_a_cable_differ_in_address_and_in_who_listens() -> None:
    ends = [qemu.cable_end(Path("/run/cable"), listens=listens) for listens in (True, False)]
    assert [end["server"] for end in ends] == [True, False]
    assert ends[0]["addr"] == ends[1]["addr"] == {"type": "unix", "path": "/run/cable"}
    cards = [qemu.cable_device("arm64", listens=listens) for listens in (True, False)]
    assert cards[0]["mac"] != cards[1]["mac"]
    assert {card["bus"] for card in cards} == {"port2"}
    assert "bus" not in qemu.cable_device("amd64", listens=True)


def test_the_guest_has_a_controller_where_qemu_has_it() -> None:
    assert qemu.controller_folder("amd64", 1) == "/sys/bus/pci/devices/0000:00:09.0"
    assert qemu.controller_folder("arm64", 1) == "/sys/bus/pci/devices/0000:00:09.0/0000:*"


def test_a_machine_that_starts_again_has_its_ports_and_what_is_plugged_in() -> None:
    hardware = qemu.Hardware(plugged=(1,))
    again = qemu.argv("arm64", "qemu", FILES, "tcg", hardware, {2375: 40001, 22: 40002})
    (netdev,) = values("-netdev", again)
    assert netdev.endswith("hostfwd=tcp:127.0.0.1:40001-:2375,hostfwd=tcp:127.0.0.1:40002-:22")
    devices = " ".join(values("-device", again))
    assert ("kvaser0" in devices, "kvaser1" in devices, "id=port0" in devices) == (
        False,
        True,
        True,
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_has_its_machine_and_its_console(architecture: Architecture) -> None:
    machine, console = {"amd64": ("pc", "ttyS0"), "arm64": ("virt", "ttyAMA0")}[architecture]
    options = argv(architecture=architecture)
    assert values("-machine", options)[0].partition(",")[0] == machine
    assert f"console={console}" in values("-append", options)[0].split()


def test_ports_are_chosen_by_the_kernel_on_loopback() -> None:
    (netdev,) = values("-netdev", argv())
    assert netdev == "user,id=net,hostfwd=tcp:127.0.0.1:0-:2375,hostfwd=tcp:127.0.0.1:0-:22"


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    (drive,) = values("-drive", argv())
    assert drive.startswith("file=/run,,1/disk.qcow2,if=none,")


@pytest.mark.parametrize(
    ("accel", "option"), [("kvm", "kvm"), ("tcg", "tcg,thread=multi,tb-size=1024")]
)
def test_each_accelerator_has_its_options(accel: qemu.Accel, option: str) -> None:
    assert values("-accel", argv(accel)) == [option]


def test_the_size_of_the_machine_is_passed_on() -> None:
    assert values("-smp", argv()) == ["3"]
    assert values("-m", argv()) == ["1024"]
