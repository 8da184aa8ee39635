#!/bin/sh
# Prepares a bare Debian machine: installs the Debian packages named on the
# command line that are missing, and makes the project's Python environment.
#
#   build/bootstrap.sh VENV [PACKAGE...]
#
# The environment lives in the user's cache folder under a name made from the
# locked requirements and the interpreter, so a change of either makes a new
# one and an unchanged one costs nothing. VENV is a link to it.
set -eu

venv_link=$1
shift

say() { printf '\033[1m[bootstrap]\033[0m %s\n' "$*" >&2; }

missing=
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done

if [ -n "$missing" ]; then
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "these Debian packages are missing and need root to install:$missing"
            say "remedy: as root, run  apt-get install$missing"
            exit 1
        fi
        as_root=sudo
    fi
    say "installing from Debian:$missing"
    # Services of the new packages (the Docker engine, above all) must not start
    # by themselves: the project starts what it needs, privately.
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if ! { $as_root apt-get update &&
           $as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
               apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        say "apt-get failed; the lines above say why"
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
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
        "$python" -m venv "$target"
        "$target/bin/python" -m pip install --quiet --disable-pip-version-check \
            --require-hashes -r "$root/requirements/dev.txt"
        touch "$target/.complete"
    fi
    flock -u 9
fi

ln -sfn "$target" "$venv_link"
