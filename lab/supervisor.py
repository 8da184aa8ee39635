"""Runs one program until the process that started it ends.

    python -I -S supervisor.py FOLDER PROGRAM [ARGUMENT...]

Standard input is a pipe whose other end only the starter has. When it closes, however the starter
ended, the program is stopped and FOLDER is removed. A parent-death signal alone would not do: it
is sent when the *thread* that started the program ends. Here it is used only for the case that
this supervisor is killed.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_GRACE_S: Final = 5.0


def _end_with_the_supervisor() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(folder: str, argv: list[str]) -> int:
    """Run ``argv``; return its exit status, or 128 plus the signal that ended it."""
    # Safe here: there is one thread, and no imported module holds a lock.
    program = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_the_supervisor,  # noqa: PLW1509 - see above
    )
    starter_ended = threading.Event()

    def wait_for_starter() -> None:
        # Not sys.stdin: a blocking read there would keep the interpreter from ending.
        while os.read(0, 4096):
            pass
        starter_ended.set()
        program.terminate()
        try:
            program.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            program.kill()

    threading.Thread(target=wait_for_starter, daemon=True).start()
    status = program.wait()
    if starter_ended.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
