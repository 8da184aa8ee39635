"""The health check of the image: asks the link of this container how it is."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

from evercan.errors import SettingsError
from evercan.link.settings import read_settings

HEALTHY, UNHEALTHY = 0, 1
"""Exit statuses."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared


def check(address: tuple[str, int]) -> tuple[int, str]:
    """Return the exit status, and what is wrong.

    Args:
        address: where the link serves its health.
    """
    host, port = _EVERYWHERE.get(address[0], address[0]), address[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/health"
    try:
        with urllib.request.urlopen(url, timeout=5):
            return HEALTHY, ""
    except urllib.error.HTTPError as error:
        with error:
            problems = json.load(error)["problems"]
        return UNHEALTHY, "\n".join(f"{each['text']}; {each['remedy']}" for each in problems)
    except OSError as error:
        return UNHEALTHY, f"the link does not answer at {url}: {error}"


def main() -> None:
    """Print what is wrong, and end with the exit status."""
    try:
        status, text = check(read_settings(os.environ).http)
    except SettingsError as error:
        status, text = UNHEALTHY, str(error)
    print(text)
    sys.exit(status)


if __name__ == "__main__":
    main()
