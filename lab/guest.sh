#!/bin/sh
# mmdebstrap's hook: configures the guest's fresh root file system.
#
#   guest.sh STAGE ROOT
#
# STAGE `early` runs before the kernel is installed, `late` after everything.
# Runs as root outside ROOT, with ROOT's own tools reached through chroot.
# From the environment: LAB_GUEST, the files to lay over ROOT; LAB_AUTHORIZED,
# the public ssh key that may log in as root; LAB_MARK, what the image is.
set -eu

stage=$1
root=$2

lay() { mkdir -p "$root/$1" && cp -R --no-preserve=ownership "$LAB_GUEST/$1/." "$root/$1/"; }

case $stage in
early)
    # The kernel's package builds the initrd as it is installed.
    lay etc/initramfs-tools
    lay usr/share/initramfs-tools
    ;;
late)
    rm -f "$root/etc/resolv.conf"
    lay .
    install -d -m 0700 "$root/root/.ssh"
    install -m 0600 "$LAB_AUTHORIZED" "$root/root/.ssh/authorized_keys"
    printf '%s\n' "$LAB_MARK" >"$root/etc/evercan-lab"
    # With an identity and nothing left to update, the first boot is a boot
    # like every other.
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    mkdir -p "$root/var/log/journal"
    touch "$root/etc/.updated" "$root/var/.updated"
    chroot "$root" systemctl --quiet enable evercan-lab-network.service
    chroot "$root" systemctl --quiet mask \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
        e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer \
        getty.target getty@tty1.service getty-static.service serial-getty@ttyS0.service \
        console-getty.service systemd-logind.service systemd-user-sessions.service \
        systemd-firstboot.service systemd-hwdb-update.service systemd-pstore.service \
        systemd-journal-catalog-update.service systemd-update-done.service \
        systemd-update-utmp.service systemd-random-seed.service ldconfig.service \
        systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
        sys-fs-fuse-connections.mount sys-kernel-tracing.mount dev-hugepages.mount \
        systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
        systemd-pcrmachine.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
        systemd-ask-password-console.path systemd-ask-password-wall.path \
        sshd-keygen.service apparmor.service remote-fs.target 2>/dev/null
    ;;
*)
    echo "guest.sh: unknown stage: $stage" >&2
    exit 2
    ;;
esac
