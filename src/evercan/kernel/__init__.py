"""The host's CAN plumbing over netlink: the only place that does I/O with it.

``port`` is what the rest of evercan knows of it; ``rtnetlink`` is the real
one; ``codec`` and ``can_gw`` turn bytes into values and back, without I/O;
``socket`` moves the bytes.
"""
