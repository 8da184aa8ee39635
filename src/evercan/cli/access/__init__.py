"""Reach the Docker engine, its host, and the plugin's socket there."""
