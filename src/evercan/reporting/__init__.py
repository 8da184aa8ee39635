"""What operators read: ``/health``, ``/status`` and ``/metrics``."""
