"""The benchmark: speed, memory and size, each compared with a reference of the same run.

``python -m bench`` (``make bench``) prints one table and writes it as JSON. One part runs on this
machine, in a copy of the plugin's root file system. The part that needs CAN in the kernel runs on
a testbed's host, in a network namespace of its own.
"""

import sys
from pathlib import Path

# As in the tests, the checkout's own source is used; nothing is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
