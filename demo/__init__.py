"""The demo of ``make run``: two containers and the host on one bus, and a power cut."""
