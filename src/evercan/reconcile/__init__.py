"""Makes the kernel as declared, one pass at a time, and observes it for whoever asks."""
