"""The link between hosts, in a container of its own: one bus on several machines, over Zenoh."""
