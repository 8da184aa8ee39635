#!/bin/sh
# What action.yml runs: installs evercan on the runner's engine, or boots the lab if the runner's
# kernel has no CAN modules. Writes the outputs docker-host and lab, and DOCKER_HOST for later steps.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
output=${GITHUB_OUTPUT:?it is set on a runner}
environment=${GITHUB_ENV:?it is set on a runner}
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

can_modules() { $as_root modprobe -a vcan vxcan can-gw 2>/dev/null; }

# Ubuntu's kernels for clouds have the modules in a package of their own.
if ! can_modules && command -v apt-get >/dev/null; then
    $as_root apt-get update -q >/dev/null 2>&1 || :
    $as_root apt-get install -q -y --no-install-recommends "linux-modules-extra-$(uname -r)" >/dev/null 2>&1 || :
fi
if can_modules; then
    set -- ${VERSION:+--version "$VERSION"} ${REGISTRY:+--registry "$REGISTRY"}
    $as_root sh "$here/install.sh" "$@"
    host=${DOCKER_HOST:-unix:///var/run/docker.sock} lab=false
else
    echo "evercan: this kernel has no CAN modules; booting the lab (some minutes)"
    cd "$here"
    # shellcheck disable=SC2046 # one word a package
    $as_root apt-get install -q -y --no-install-recommends python3-venv $(cat lab/packages.txt) >/dev/null
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements/install.txt
    # As root, who may use KVM.
    host=$($as_root .venv/bin/python -m lab up | sed -n 's/^export DOCKER_HOST=//p') lab=true
    $as_root .venv/bin/python -m tools.plugin
    .venv/bin/python -m tools.install --host "$host"
    echo "DOCKER_HOST=$host" >>"$environment"
fi
echo "docker-host=$host" >>"$output"
echo "lab=$lab" >>"$output"
