"""Plays USB CAN adapters, which a stock kernel takes for real ones; standard library only."""
