"""The plain daemon, the reference: the same program without the optimised start.

It imports everything that it uses, then binds, then serves. It runs in the plugin's own root file
system, without TLS, which makes it faster than it would be elsewhere.
"""

import sys

import aiohttp
import orjson
import prometheus_client
import pyroute2
import uvloop
from aiohttp import web

from evercan import daemon
from evercan.__main__ import DEFAULT_SOCKET, bind
from evercan.reporting import metrics

LOADED = (aiohttp.ClientSession, orjson, prometheus_client, pyroute2.IPRoute, uvloop, web, metrics)

if __name__ == "__main__":
    sys.exit(daemon.main(bind(DEFAULT_SOCKET)))
