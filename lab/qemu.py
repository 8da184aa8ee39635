"""QEMU's command line for the emulated machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Accel = Literal["kvm", "tcg"]

ENGINE_PORT: Final = 2375
SSH_PORT: Final = 22

CONTROLLERS: Final = 2
"""CAN controllers in the machine, numbered from 0: `can0`, `can1` in the guest."""

_FIRST_CONTROLLER_SLOT: Final = 8

_ACCEL_OPTIONS: Final[dict[Accel, tuple[str, ...]]] = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    # Nehalem is the smallest x86-64-v2 processor, which current programs need. It lacks features
    # (AES, SVM) for which the kernel would load and test code.
    "tcg": ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Nehalem"),
}

KERNEL_PARAMETERS: Final = (
    "root=/dev/vda",
    "rw",
    "console=ttyS0",
    "net.ifnames=0",
    "mitigations=off",
    "audit=0",
    # The kernel patches its own code while it boots, and with QEMU's multi-threaded translation
    # the other processor sometimes runs an incomplete patch. A reliable clock avoids most
    # patches; after a crash the guest boots again.
    "tsc=reliable",
    "panic=1",
    "quiet",
    "systemd.show_status=1",
)


@dataclass(frozen=True)
class Hardware:
    """Size of the machine.

    Attributes:
        cpus: Virtual processors.
        memory_mib: Memory in MiB.
    """

    cpus: int = 2
    memory_mib: int = 3072


@dataclass(frozen=True)
class Files:
    """What one run of the machine reads and writes.

    Attributes:
        kernel: Kernel to boot.
        initrd: Its initial RAM disk.
        overlay: This run's disk, qcow2 over the image.
        console: File for the serial console's output.
        qmp: Unix socket that controls the machine.
    """

    kernel: Path
    initrd: Path
    overlay: Path
    console: Path
    qmp: Path


def slot(controller: int) -> str:
    """Return a controller's PCI slot for QEMU. It is fixed, so interface names keep their order."""
    return f"{_FIRST_CONTROLLER_SLOT + controller:#x}"


def pci_address(controller: int) -> str:
    """Return a controller's PCI address in the guest."""
    return f"0000:00:{_FIRST_CONTROLLER_SLOT + controller:02x}.0"


def controller_id(controller: int) -> str:
    """Return QEMU's name of a controller, for unplugging it."""
    return f"kvaser{controller}"


def argv(program: str, files: Files, accel: Accel, hardware: Hardware) -> list[str]:
    """Return QEMU's command line."""
    forwards = ",".join(f"hostfwd=tcp:127.0.0.1:0-:{port}" for port in (ENGINE_PORT, SSH_PORT))
    controllers = [
        f"kvaser_pci,canbus=wire,id={controller_id(n)},addr={slot(n)}" for n in range(CONTROLLERS)
    ]
    return [
        program,
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "pc", *_ACCEL_OPTIONS[accel]),
        *("-smp", str(hardware.cpus), "-m", str(hardware.memory_mib)),
        *("-kernel", str(files.kernel), "-initrd", str(files.initrd)),
        *("-append", " ".join(KERNEL_PARAMETERS)),
        # cache=unsafe: the disk is not needed after QEMU ends. A power cut resets the guest
        # inside QEMU, which keeps everything that the guest had synced.
        *("-drive", f"file={_escaped(files.overlay)},if=none,id=disk,format=qcow2,cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net"),
        *("-device", "virtio-rng-pci"),
        *("-object", "can-bus,id=wire"),
        *(part for controller in controllers for part in ("-device", controller)),
        *("-chardev", f"file,id=console,path={_escaped(files.console)}"),
        *("-serial", "chardev:console"),
        *("-qmp", f"unix:{_escaped(files.qmp)},server=on,wait=off"),
    ]


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")
