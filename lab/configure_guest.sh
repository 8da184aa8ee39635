#!/bin/sh
# A hook of mmdebstrap: configures the guest's new root file system.
#
#   configure_guest.sh STAGE ROOT
#
# STAGE `sources` is before apt reads its sources, `early` is before the kernel is
# installed, `late` is at the end. This runs as root outside ROOT, and runs ROOT's own
# programs with chroot.
# Environment: LAB_GUEST, a folder with files to copy to ROOT; LAB_AUTHORIZED, the
# public ssh key that may log in as root; LAB_MARK, the guest's name and the key of its
# recipe; LAB_SUITE, the Debian release; LAB_KERNEL_SUITE, the suite of the kernel if it
# is another one, else empty.
set -eu

stage=$1
root=$2

copy() { mkdir -p "$root/$1" && cp -R --no-preserve=ownership "$LAB_GUEST/$1/." "$root/$1/"; }

case $stage in
sources)
    # The kernel's suite is on the same mirror as the release.
    if [ -n "$LAB_KERNEL_SUITE" ]; then
        added=$root/etc/apt/sources.list.d/kernel.list
        sed -n "s/^\(deb .*\) $LAB_SUITE main.*/\1 $LAB_KERNEL_SUITE main/p" \
            "$root/etc/apt/sources.list" >"$added"
        test -s "$added"
    fi
    ;;
early)
    # The kernel's package builds the initrd when it is installed.
    copy etc/initramfs-tools
    copy usr/share/initramfs-tools
    ;;
late)
    rm -f "$root/etc/resolv.conf"
    copy .
    install -d -m 0700 "$root/root/.ssh"
    install -m 0600 "$LAB_AUTHORIZED" "$root/root/.ssh/authorized_keys"
    printf '%s\n' "$LAB_MARK" >"$root/etc/evercan-lab"
    # With a machine id and these marks, the first boot does the same as later ones.
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    mkdir -p "$root/var/log/journal"
    touch "$root/etc/.updated" "$root/var/.updated"
    chroot "$root" systemctl --quiet enable evercan-lab-network.service
    chroot "$root" systemctl --quiet mask \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
        e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer \
        getty.target getty@tty1.service getty-static.service serial-getty@ttyS0.service \
        serial-getty@ttyAMA0.service console-getty.service systemd-logind.service systemd-user-sessions.service \
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
    echo "configure_guest.sh: unknown stage: $stage" >&2
    exit 2
    ;;
esac
