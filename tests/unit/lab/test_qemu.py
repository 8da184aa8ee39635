from pathlib import Path

import pytest

from lab import qemu

FILES = qemu.Files(
    kernel=Path("/i/vmlinuz"),
    initrd=Path("/i/initrd.img"),
    overlay=Path("/run,1/disk.qcow2"),
    console=Path("/run/console.log"),
    qmp=Path("/run/qmp"),
)


def argv(accel: qemu.Accel = "tcg") -> list[str]:
    return qemu.argv("qemu", FILES, accel, qemu.Hardware(cpus=3, memory_mib=1024))


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


def test_pci_addresses_match_qemus_slots() -> None:
    assert qemu.pci_address(0) == "0000:00:08.0"
    assert qemu.slot(0) == "0x8"


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
