"""Lets ``python -m lab`` run the command line."""

import sys

from lab.cli import main

sys.exit(main())
