"""Puts off the module that the standard library imports for a link, and that it rarely uses.

Import this before everything else.
"""

from __future__ import annotations

from evercan import partial_import

# The server of /health loads http.client, and that loads ssl: 6 MB, for which a link has a use only
# when it looks for the reason why another one is not connected. Zenoh has a TLS of its own.
partial_import.defer("ssl")
