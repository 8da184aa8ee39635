"""What the measurement of `evercan play` starts."""
