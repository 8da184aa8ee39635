"""Compares what is declared with what is observed: steps to take, drift, and problems; pure."""
