#!/bin/sh
# Installs packages on a GitHub runner, and creates .venv by hash.
#
#   tools/ci/prepare.sh [LIST...]
#
# Each LIST is a file with Debian packages, which Ubuntu has too. The runner's own Python also
# works under sudo.
set -eu

sudo apt-get update
# shellcheck disable=SC2046 # to be split into words
sudo apt-get install -y --no-install-recommends python3-venv $(cat /dev/null "$@")
/usr/bin/python3 -m venv .venv
.venv/bin/python -m pip install --require-hashes -r requirements/dev.txt
