"""The health check of the image: asks the link of this container how it is."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

from evercan.errors import SettingsError
from evercan.link.settings import read_settings

HEALTHY, UNHEALTHY = 0, 1
"""Exit statuses."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared


def read_health(address: tuple[str, int]) -> dict[str, Any]:
    """Return the document of ``/health``.

    Args:
        address: where the link serves it.

    Raises:
        OSError: the link does not answer.
    """
    host, port = _EVERYWHERE.get(address[0], address[0]), address[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/health"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:  # how it answers if it is not healthy
        with error:
            return dict(json.load(error))


def main() -> None:
    """Print the problems, or with ``--json`` the document; end with the exit status."""
    try:
        health = read_health(read_settings(os.environ).http)
    except SettingsError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"the link does not answer: {error}")
    if sys.argv[1:] == ["--json"]:
        print(json.dumps(health))
    else:
        for problem in health["problems"]:
            print(f"{problem['text']}; {problem['remedy']}")
    sys.exit(HEALTHY if health["healthy"] else UNHEALTHY)


if __name__ == "__main__":
    main()
