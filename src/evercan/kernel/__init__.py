"""Reads and changes the host's CAN interfaces and rules over netlink; only here."""
