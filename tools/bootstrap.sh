#!/bin/sh
# Prepares a Debian machine: installs the named Debian packages that are missing,
# and creates the project's Python environment.
#
#   [REQUIREMENTS=LIST] tools/bootstrap.sh VENV [PACKAGE...]
#
# LIST is one of requirements/LIST.txt; without it dev, which has everything of the others.
#
# The environment is in the user's cache folder. Its name is a hash of the locked
# requirements and the interpreter: a change of either creates a new environment,
# and without a change nothing is done. VENV is a link to it.
#
# No package is removed from the machine. If docker.io is installed and the
# machine runs systemd, Docker's service starts and is the machine's own engine.
set -eu

venv_link=$1
shift

report() { printf '\033[1m[bootstrap]\033[0m %s\n' "$*" >&2; }

# Runs a command; shows its output only if it fails.
quietly() {
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        return 1
    }
}

present() {
    case $1 in
    # Any of the browsers that tools/browser.py knows will do.
    chromium)
        for program in chromium chromium-browser google-chrome; do
            command -v "$program" >/dev/null && return
        done
        ;;
    # An engine of Docker's own packages is good too; docker.io would replace it.
    # On some releases dockerd is in /usr/sbin, which is not on every user's PATH.
    docker.io) PATH=$PATH:/usr/sbin:/sbin command -v dockerd >/dev/null && return ;;
    esac
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

if [ -e "$venv_link" ] && [ ! -L "$venv_link" ]; then
    report "$venv_link exists and is not a link to an environment of this script"
    report "remedy: remove it (rm -r $venv_link), or keep it and run: make -o $venv_link TARGET"
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
    # --no-remove: otherwise apt removes packages that conflict.
    install="apt-get install -y --no-remove --no-install-recommends$missing"
    as_root=
    if ! command -v apt-get >/dev/null; then
        report "this machine has no apt-get, and these Debian packages are missing:$missing"
        report "remedy: install the corresponding packages of this distribution, create $venv_link"
        report "as the README shows, then run: make -o $venv_link TARGET"
        exit 1
    elif [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            report "these Debian packages are missing, and only root can install them:$missing"
            report "remedy: as root, run: $install"
            exit 1
        fi
        as_root=sudo
    fi
    report "installing Debian packages:$missing"
    # An unreachable source of another publisher is not fatal. The second command
    # fails if one of these packages is not available.
    $as_root apt-get update >"$log" 2>&1 || tail -n 3 "$log" >&2
    # shellcheck disable=SC2086 # to be split into words
    if ! quietly $as_root env DEBIAN_FRONTEND=noninteractive $install; then
        report "apt-get failed; the reason is in the lines above"
        report "remedy: install$missing by hand; if one of them conflicts with a package that you"
        report "need, leave it out, create $venv_link as the README shows, and run: make -o $venv_link TARGET"
        exit 1
    fi
fi

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/evercan/venv

# Prints the environment's folder for a list of requirements.
folder_of() {
    echo "$cache/$({ "$python" -VV; cat "$root/requirements/$1.txt"; } | sha256sum | cut -c1-16)"
}
list=${REQUIREMENTS:-dev}
# An environment for development that is there is good for an installation too.
[ ! -e "$(folder_of dev)/.complete" ] || list=dev
requirements=$root/requirements/$list.txt
target=$(folder_of "$list")

if [ ! -e "$target/.complete" ]; then
    packages=$(grep -c '^[a-z]' "$requirements" || :)
    report "creating the Python environment: $packages packages of requirements/$list.txt (about a minute)"
    mkdir -p "$(dirname "$target")"
    # If two checkouts do this at the same time, the second one waits.
    exec 9>"$target.lock"
    flock 9
    if [ ! -e "$target/.complete" ]; then
        rm -rf "$target"
        if ! quietly "$python" -m venv "$target"; then
            report "$python cannot create an environment; the reason is in the lines above"
            report "remedy: apt-get install python3-venv, or name another interpreter in PYTHON"
            exit 1
        fi
        if ! quietly "$target/bin/python" -m pip install --disable-pip-version-check \
            --no-input --require-hashes -r "$requirements"; then
            report "pip failed; the reason is in the lines above"
            report "remedy: check the connection to the package index, and run this again"
            exit 1
        fi
        touch "$target/.complete"
    fi
    flock -u 9
fi

ln -sfn "$target" "$venv_link"

# All checkouts with the same requirements share the environment. So its command evercan runs the
# source of the checkout whose link was used to call it; without a link, that of this checkout.
new=$target/bin/evercan.$$
cat >"$new" <<EOF
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
chmod 755 "$new"
mv "$new" "$target/bin/evercan"
