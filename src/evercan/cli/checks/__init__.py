"""Judge what ``evercan doctor`` has found; no I/O."""
