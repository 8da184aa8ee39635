"""Values that the commands show, and how their numbers are written; no I/O."""
