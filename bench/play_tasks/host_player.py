"""Plays as on the engine's host, on a given socket: ``bench.play_tasks.host_player FD``."""

from __future__ import annotations

import gc
import socket
import sys

from evercan.cli.access import player

if __name__ == "__main__":
    gc.disable()  # as the program does
    player.play(sys.stdin.buffer, socket.socket(fileno=int(sys.argv[1])))
