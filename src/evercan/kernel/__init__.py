"""The host's CAN plumbing over netlink: the only place that does I/O with it.

``port`` is what the rest of evercan knows of it; ``rtnetlink`` is the real
one; ``links`` and ``can_gw`` turn bytes into values and back, without I/O;
``netlink`` moves the bytes and ``events`` hears what the kernel says unasked.
"""
