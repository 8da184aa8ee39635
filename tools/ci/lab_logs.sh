#!/bin/sh
# Writes the logs of the running lab into the folder logs.
set -u

mkdir -p logs
lab=".venv/bin/python -m lab"
$lab status >logs/status.txt 2>&1
$lab logs console >logs/console.txt 2>&1
$lab logs journal >logs/docker.txt 2>&1
$lab exec ip -details link show >logs/links.txt 2>&1
$lab exec cangw -L >logs/rules.txt 2>&1
exit 0
