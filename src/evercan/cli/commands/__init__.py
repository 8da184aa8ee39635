"""Run the commands, one module each."""
