#!/bin/sh
# Checks, in the container and at each start, that its CAN interface is ready; else names the remedy.
set -eu

carrier=$(cat /sys/class/net/can0/carrier 2>/dev/null) || carrier=missing
if [ "$carrier" != 1 ]; then
    echo "evercan: can0 is not ready (its carrier is $carrier)" >&2
    echo "  -> on the host, run: evercan doctor; then restart this container" >&2
    exit 1
fi
echo "evercan: can0 is ready; try: candump can0"
