"""Runs one program for as long as whoever started it lives.

    python -I -S leash.py FOLDER PROGRAM [ARGUMENT...]

Standard input is the leash: a pipe whose other end only the starter holds. When
it closes, however the starter ended, the program is stopped and FOLDER removed.
A pipe is surer than a parent-death signal, which fires when the *thread* that
started the program ends; that signal only guards the leash's own death here.
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


def _die_with_the_leash() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(folder: str, argv: list[str]) -> int:
    """Run ``argv``; its exit status, or 128 plus the signal that ended it."""
    # One thread and nothing imported that locks: the hook is safe here.
    program = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_the_leash,  # noqa: PLW1509  see above
    )
    let_go = threading.Event()

    def hold() -> None:
        # Not sys.stdin: a read held there would block the interpreter's own end.
        while os.read(0, 4096):
            pass
        let_go.set()
        program.terminate()
        try:
            program.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            program.kill()

    threading.Thread(target=hold, daemon=True).start()
    status = program.wait()
    if let_go.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
