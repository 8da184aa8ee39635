"""evercan: CAN buses as Docker networks, and they come back by themselves.

This file stays empty of imports: ``__main__`` binds the plugin's socket before
anything heavy is loaded, and it is loaded through here.
"""

__version__ = "0.1.0"

BACKLOG = 512
"""Calls that wait until the plugin takes them; beyond that the kernel refuses them at once."""
