#!/bin/sh
# Assembles the root file system of evercan/can-tools in the folder $1: the programs,
# the libraries that they are linked with, and a link for each of busybox's applets.
# evercan-play and evercan-capture are compiled from /evercan_play.c and /evercan_capture.c.
# Runs inside the build image.
set -eu
out=$1

ours=""
for program in play capture; do
    gcc -O2 -Wall -Wextra -Werror -pthread -o "/usr/bin/evercan-$program" "/evercan_$program.c"
    ours="$ours /usr/bin/evercan-$program"
done

programs="/usr/bin/busybox $ours $(command -v ip) $(command -v nc.openbsd)"
for program in $(dpkg -L can-utils | grep '^/usr/bin/.'); do
    # ELF files only: its scripts need other interpreters.
    if [ "$(head -c 4 "$program" | tail -c 3)" = ELF ]; then
        programs="$programs $program"
    fi
done

mkdir -p "$out/usr/bin" "$out/usr/lib" "$out/tmp" "$out/etc" "$out/proc" "$out/sys" "$out/dev"
ln -s usr/bin "$out/bin"
for link in lib lib64; do
    if [ -L "/$link" ]; then ln -s "usr/$link" "$out/$link"; fi
done

for program in $programs; do
    cp -L "$program" "$out/usr/bin/"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        folder=$out$(readlink -f "$(dirname "$library")")
        mkdir -p "$folder"
        cp -L "$library" "$folder/"
    done
done

for applet in $(busybox --list); do
    if [ ! -e "$out/usr/bin/$applet" ]; then ln -s busybox "$out/usr/bin/$applet"; fi
done

echo 'root:x:0:0:root:/:/usr/bin/sh' >"$out/etc/passwd"
echo 'root:x:0:' >"$out/etc/group"
chmod 1777 "$out/tmp"
# With fixed times the same packages give the same layer.
find "$out" -exec touch -h -d @0 {} +
