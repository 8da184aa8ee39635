#!/bin/sh
# Checks, on the host and before the container is made, that a bus can be made; else names the remedy.
#
#   .devcontainer/check_host.sh [MODULES]
#
# MODULES is the folder of the kernel's loaded modules; by default /sys/module.
set -eu

modules=${1:-/sys/module}
plugin=evercan:latest

fail() {
    echo "evercan: $1" >&2
    echo "  -> $2" >&2
    exit 1
}

command -v docker >/dev/null ||
    fail "the command docker is missing" "install Docker: https://docs.docker.com/engine/install/"
answer=$(docker version --format '{{.Server.Version}}' 2>&1) ||
    fail "Docker's engine does not answer: $answer" \
        "start it, and let this user use it: sudo usermod -aG docker \"\$USER\", then log in again"

enabled=$(docker plugin inspect --format '{{.Enabled}}' "$plugin" 2>/dev/null) || enabled=missing
case $enabled in
true) ;;
false) fail "the plugin $plugin is disabled" "run: docker plugin enable $plugin" ;;
*) fail "the engine has no plugin $plugin" "run: sudo ./install.sh (or, from this checkout: make install)" ;;
esac

# The modules are in the kernel of the engine. It is this one if the engine is on this machine.
case ${DOCKER_HOST:-unix://} in
unix://*)
    if [ -d "$modules" ] && [ "$(uname -s)" = Linux ]; then
        missing=
        for module in vcan vxcan can_gw; do
            [ -d "$modules/$module" ] || missing="$missing $module"
        done
        [ -z "$missing" ] ||
            fail "kernel modules are not loaded:$missing" "run: sudo modprobe -a vcan vxcan can-gw"
    fi
    ;;
*) echo "evercan: the engine is on another machine, whose kernel modules are not checked here" ;;
esac
echo "evercan: this host can make a CAN bus"
