"""Runs on a testbed's host: measures the daemon on a real kernel, and references for it.

It uses the standard library alone and is sent there as an archive (``bench.on_host``), to run in
network and mount namespaces of its own.
"""
