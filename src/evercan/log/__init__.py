"""How log lines are written without delaying the daemon, and what they say about a pass."""
