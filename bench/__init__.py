"""How fast, how small: every figure beside a reference that was measured in the same run.

``python -m bench`` (``make bench``) prints one table and writes it as JSON. A part of it
runs on this machine, in a copy of the plugin's root file system; what needs CAN in the
kernel runs on a testbed's host, in a network namespace of its own.
"""

import sys
from pathlib import Path

# The checkout's own source, as the tests have it; nothing is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
