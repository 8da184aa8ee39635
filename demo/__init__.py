"""``make run``: the plugin, two containers and the host on one bus, and a power cut."""
