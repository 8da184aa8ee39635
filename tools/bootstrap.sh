#!/bin/sh
# Prepares a bare Debian machine: installs the Debian packages named on the
# command line that are missing, and makes the project's Python environment.
#
#   tools/bootstrap.sh VENV [PACKAGE...]
#
# The environment lives in the user's cache folder under a name made from the
# locked requirements and the interpreter, so a change of either makes a new
# one and an unchanged one costs nothing. VENV is a link to it.
#
# Nothing is ever removed from the machine. Where docker.io is installed onto a
# machine that runs systemd, its service starts, as for everybody who installs
# it, and is then the machine's own engine.
set -eu

venv_link=$1
shift

say() { printf '\033[1m[bootstrap]\033[0m %s\n' "$*" >&2; }

# Runs a command whose words matter only if it fails.
quietly() {
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        return 1
    }
}

present() {
    case $1 in
    # Docker's own packages bring an engine too, and Debian's would displace it.
    # It is in /usr/sbin on some releases, which is not on everybody's path.
    docker.io) PATH=$PATH:/usr/sbin:/sbin command -v dockerd >/dev/null && return ;;
    esac
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

if [ -e "$venv_link" ] && [ ! -L "$venv_link" ]; then
    say "$venv_link is not the link that belongs there, but somebody's own"
    say "remedy: remove it (rm -r $venv_link), or keep it and say  make -o $venv_link …"
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

missing=
for package in "$@"; do
    present "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
    # --no-remove: apt would rather remove what conflicts than refuse.
    install="apt-get install -y --no-remove --no-install-recommends$missing"
    as_root=
    if ! command -v apt-get >/dev/null; then
        say "this machine has no apt-get, and these Debian packages are missing:$missing"
        say "remedy: install the like by hand, make $venv_link as the README shows, then  make -o $venv_link …"
        exit 1
    elif [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "these Debian packages are missing and need root to install:$missing"
            say "remedy: as root, run  $install"
            exit 1
        fi
        as_root=sudo
    fi
    say "installing from Debian:$missing"
    # A third party's source that is out of reach is no reason to stop: whether
    # what we want can be had is for the second command to say.
    $as_root apt-get update >"$log" 2>&1 || tail -n 3 "$log" >&2
    # shellcheck disable=SC2086 # words, meant to be split
    if ! quietly $as_root env DEBIAN_FRONTEND=noninteractive $install; then
        say "apt-get failed; the lines above say why"
        say "remedy: install$missing by hand; if one of them would remove a package that you"
        say "need, leave it out, make $venv_link as the README shows, and say  make -o $venv_link …"
        exit 1
    fi
fi

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
key=$({ "$python" -VV; cat "$root/requirements/dev.txt"; } | sha256sum | cut -c1-16)
target=${XDG_CACHE_HOME:-$HOME/.cache}/evercan/venv/$key

if [ ! -e "$target/.complete" ]; then
    say "making the Python environment from requirements/dev.txt (about a minute)"
    mkdir -p "$(dirname "$target")"
    # Two checkouts may arrive here at once: the second waits for the first.
    exec 9>"$target.lock"
    flock 9
    if [ ! -e "$target/.complete" ]; then
        rm -rf "$target"
        if ! quietly "$python" -m venv "$target"; then
            say "$python makes no environment; the lines above say why"
            say "remedy: apt-get install python3-venv, or name another interpreter in PYTHON"
            exit 1
        fi
        if ! quietly "$target/bin/python" -m pip install --disable-pip-version-check \
            --no-input --require-hashes -r "$root/requirements/dev.txt"; then
            say "pip failed; the lines above say why"
            say "remedy: see that this machine reaches its package index, and run this again"
            exit 1
        fi
        touch "$target/.complete"
    fi
    flock -u 9
fi

ln -sfn "$target" "$venv_link"

# The environment is shared by all checkouts with the same requirements, so the command in it runs
# the source beside the link by which it was called; by its own path, that of this checkout.
cat >"$target/bin/evercan.new" <<EOF
#!$target/bin/python
import os, sys
called = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
for root in (called, "$root"):
    if os.path.isdir(os.path.join(root, "src", "evercan", "cli")):
        sys.path.insert(0, os.path.join(root, "src"))
        break
from evercan.cli import main
sys.exit(main())
EOF
chmod 755 "$target/bin/evercan.new"
mv "$target/bin/evercan.new" "$target/bin/evercan"
