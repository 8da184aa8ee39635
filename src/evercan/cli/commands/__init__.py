"""Run the commands, one module each: reach what is needed, print, return the exit status."""
