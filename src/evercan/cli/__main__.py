"""Run ``evercan`` as ``python3 -m evercan.cli``."""

import sys

from evercan.cli import main

sys.exit(main())
