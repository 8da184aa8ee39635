#!/bin/sh
# Prepares a new development container: access to the engine, and the Python environment.
#
#   .devcontainer/post_create.sh [SOCKET]
#
# SOCKET is the engine's; by default /var/run/docker.sock.
set -eu
cd "$(dirname "$0")/.."

socket=${1:-/var/run/docker.sock}
if [ -S "$socket" ]; then
    # The group that may use the socket has a number on the host. Shells that are opened later have it.
    group=$(stat -c %g "$socket")
    name=$(getent group "$group" | cut -d: -f1)
    if [ -z "$name" ]; then
        name=engine
        sudo groupadd --gid "$group" "$name"
    fi
    sudo usermod --append --groups "$name" "$(id -un)"
else
    echo "evercan: there is no $socket: docker and evercan have no engine here" >&2
    echo "  -> check that the engine on the host has this socket, and rebuild the container" >&2
fi

# Not `make`, which would also install what only the lab needs.
tools/bootstrap.sh .venv
