"""QEMU's command line for the emulated machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tools.common.architecture import Architecture

Accel = Literal["kvm", "tcg"]

ENGINE_PORT: Final = 2375
SSH_PORT: Final = 22

CONTROLLERS: Final = 2
"""CAN controllers in the machine, numbered from 0: `can0`, `can1` in the guest."""

CABLE: Final = "cable"
"""QEMU's name of the Ethernet card that joins two machines, and of the cable."""

_FIRST_CONTROLLER_SLOT: Final = 8

KERNEL_PARAMETERS: Final = (
    "root=/dev/vda",
    "rw",
    "net.ifnames=0",
    "mitigations=off",
    "audit=0",
    "panic=1",
    "quiet",
    "systemd.show_status=1",
)


@dataclass(frozen=True)
class Platform:
    """How QEMU emulates a machine of one architecture.

    Attributes:
        program: QEMU's program.
        machine: The kind of machine.
        cpus: The options that choose accelerator and processor.
        kernel_parameters: Parameters beside `KERNEL_PARAMETERS`.
        has_ports: Whether what is plugged in while it runs is behind PCI Express ports, without
            which that would not work. Otherwise it is on the root bus.
    """

    program: str
    machine: str
    cpus: dict[Accel, tuple[str, ...]]
    kernel_parameters: tuple[str, ...]
    has_ports: bool


PLATFORMS: Final[dict[Architecture, Platform]] = {
    "amd64": Platform(
        program="qemu-system-x86_64",
        machine="pc",
        cpus={
            "kvm": ("-accel", "kvm", "-cpu", "host"),
            # Nehalem is the smallest x86-64-v2 processor, which current programs need. It lacks
            # features (AES, SVM) for which the kernel would load and test code.
            "tcg": ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Nehalem"),
        },
        kernel_parameters=(
            "console=ttyS0",
            # The kernel patches its own code while it boots, and with QEMU's multi-threaded
            # translation the other processor sometimes runs an incomplete patch. A reliable
            # clock avoids most patches; after a crash the guest boots again.
            "tsc=reliable",
        ),
        has_ports=False,
    ),
    "arm64": Platform(
        program="qemu-system-aarch64",
        machine="virt,gic-version=max",
        cpus={
            "kvm": ("-accel", "kvm", "-cpu", "host"),
            "tcg": ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "cortex-a72"),
        },
        kernel_parameters=("console=ttyAMA0",),
        has_ports=True,
    ),
}


@dataclass(frozen=True)
class Hardware:
    """What the machine consists of.

    Attributes:
        cpus: Virtual processors.
        memory_mib: Memory in MiB.
        plugged: The controllers that are plugged in when it starts.
    """

    cpus: int = 2
    memory_mib: int = 3072
    plugged: tuple[int, ...] = tuple(range(CONTROLLERS))


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


def controller_id(controller: int) -> str:
    """Return QEMU's name of a controller, for unplugging it."""
    return f"kvaser{controller}"


def controller_device(architecture: Architecture, controller: int) -> dict[str, str]:
    """Return the properties of a controller's device, as ``device_add`` takes them.

    Its place is fixed, so interface names keep their order.
    """
    ports = PLATFORMS[architecture].has_ports
    place = {"bus": _port_id(controller)} if ports else {"addr": _slot(controller)}
    return {"driver": "kvaser_pci", "canbus": "wire", "id": controller_id(controller), **place}


def controller_folder(architecture: Architecture, controller: int) -> str:
    """Return a shell pattern for a controller's folder in the guest's /sys."""
    folder = f"/sys/bus/pci/devices/0000:00:{_FIRST_CONTROLLER_SLOT + controller:02x}.0"
    return f"{folder}/0000:*" if PLATFORMS[architecture].has_ports else folder


def cable_end(socket: Path, *, listens: bool) -> dict[str, object]:
    """Return one end of a cable between two machines, as ``netdev_add`` takes it.

    Args:
        socket: The unix socket that the cable is.
        listens: Whether this end makes the socket. The other one connects to it.
    """
    address = {"type": "unix", "path": str(socket)}
    return {"type": "stream", "id": CABLE, "server": listens, "addr": address}


def cable_device(architecture: Architecture, *, listens: bool) -> dict[str, str]:
    """Return the properties of the Ethernet card at an end, as ``device_add`` takes them."""
    place = {"bus": _port_id(CONTROLLERS)} if PLATFORMS[architecture].has_ports else {}
    # QEMU numbers the cards of each machine from the same address on.
    mac = f"52:54:00:00:00:0{1 if listens else 2}"
    return {
        "driver": "virtio-net-pci",
        "netdev": CABLE,
        "id": CABLE,
        "mac": mac,
        "romfile": "",
        **place,
    }


def _slot(controller: int) -> str:
    return f"{_FIRST_CONTROLLER_SLOT + controller:#x}"


def _port_id(controller: int) -> str:
    return f"port{controller}"


def argv(
    architecture: Architecture,
    program: str,
    files: Files,
    accel: Accel,
    hardware: Hardware,
    ports: Mapping[int, int] | None = None,
) -> list[str]:
    """Return QEMU's command line.

    Args:
        architecture: The machine's.
        program: QEMU's path.
        files: What the run reads and writes.
        accel: The accelerator.
        hardware: What the machine consists of.
        ports: Loopback ports of this machine by guest port; by default the kernel chooses them.
    """
    platform = PLATFORMS[architecture]
    forwards = ",".join(
        f"hostfwd=tcp:127.0.0.1:{(ports or {}).get(port, 0)}-:{port}"
        for port in (ENGINE_PORT, SSH_PORT)
    )
    hotplug_ports = [
        f"pcie-root-port,id={_port_id(n)},chassis={n + 1},addr={_slot(n)}"
        # One for each controller, and one for the cable.
        for n in (range(CONTROLLERS + 1) if platform.has_ports else ())
    ]
    controllers = [_device(controller_device(architecture, n)) for n in hardware.plugged]
    return [
        program,
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", platform.machine, *platform.cpus[accel]),
        *("-smp", str(hardware.cpus), "-m", str(hardware.memory_mib)),
        *("-kernel", str(files.kernel), "-initrd", str(files.initrd)),
        *("-append", " ".join((*KERNEL_PARAMETERS, *platform.kernel_parameters))),
        # cache=unsafe: the disk is not needed after the machine's end. A power cut keeps
        # everything that the guest had synced: QEMU has it, or has written it to its file.
        *("-drive", f"file={_escaped(files.overlay)},if=none,id=disk,format=qcow2,cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=disk"),
        # Without a ROM, which is a package of its own: the machine does not boot over the network.
        *("-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-object", "can-bus,id=wire"),
        *(part for device in (*hotplug_ports, *controllers) for part in ("-device", device)),
        # After a power cut the console continues the same file.
        *("-chardev", f"file,id=console,path={_escaped(files.console)},append=on"),
        *("-serial", "chardev:console"),
        *("-qmp", f"unix:{_escaped(files.qmp)},server=on,wait=off"),
    ]


def _device(properties: Mapping[str, str]) -> str:
    """Return a device as QEMU's command line takes it: its driver, then its properties."""
    rest = [f"{name}={value}" for name, value in properties.items() if name != "driver"]
    return ",".join([properties["driver"], *rest])


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")
