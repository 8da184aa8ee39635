"""Hold the values that the commands show, and format numbers and times; no I/O."""
