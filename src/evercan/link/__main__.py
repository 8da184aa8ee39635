"""Run a link: ``python3 -m evercan.link``."""

from __future__ import annotations

import evercan.link.deferred  # noqa: F401 - before what it puts off

# isort: split
import logging
import os
import signal
import sys
from threading import Event, Thread
from typing import NoReturn

import zenoh

from evercan.errors import SettingsError
from evercan.link.can_socket import OpenCan, open_can
from evercan.link.link import Link, new_link_id
from evercan.link.settings import Settings, read_settings
from evercan.link.web import serve
from evercan.link.zenoh_config import session_config
from evercan.link.zenoh_session import open_session

UNUSABLE = 2
"""Exit status if the settings cannot be used."""


def run(settings: Settings, open_bus: OpenCan | None = None) -> None:
    """Work until SIGTERM or SIGINT.

    Args:
        settings: how to run.
        open_bus: opens the CAN socket; None for that of the interface that the settings choose.
    """
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    own = new_link_id(settings.host)
    session = open_session(
        session_config(
            listen=settings.listen,
            connect=settings.connect,
            certificates=settings.certificates,
            bus=settings.bus,
            allow=settings.allow,
        )
    )
    link = Link(settings, own, session)
    server = serve(settings.http, link.report)
    Thread(target=server.serve_forever, daemon=True).start()
    log = logging.getLogger("evercan.link")
    log.info("link of bus %s for host %s", settings.bus, settings.host)
    for endpoint in settings.listen:
        log.info("listening on %s", endpoint)
    if settings.certificates is None:
        log.warning("nothing is encrypted, and any program can take part; set LINK_CERTS")
    link.run(open_bus or (lambda: open_can(settings.interface)), stop)


def main() -> NoReturn:
    """Run the command line, and end the process."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        for mistake in error.mistakes:
            print(f"evercan-link: {mistake}", file=sys.stderr)
        sys.exit(UNUSABLE)
    logging.basicConfig(
        stream=sys.stdout, level=settings.log_level.upper(), format="%(levelname)s %(message)s"
    )
    zenoh.init_log_from_env_or("error")
    try:
        run(settings)
    except OSError as error:
        print(f"evercan-link: cannot start: {error}", file=sys.stderr)
        os._exit(1)
    # Threads of Zenoh may still work; a normal exit would wait for them.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
