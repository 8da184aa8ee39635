"""``python3 -m evercan.cli``: the same as ``evercan``."""

import sys

from evercan.cli import main

sys.exit(main())
