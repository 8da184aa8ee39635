"""The dashboard of examples/monitoring, as far as Prometheus is concerned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples/monitoring"

_VARIABLES = {"$instance": ".*", "$bus": ".*", "$__rate_interval": "1m"}


def expressions(document: dict[str, Any]) -> list[str]:
    """List the queries of all panels and annotations, with Grafana's variables filled in."""
    found = [target["expr"] for each in document["panels"] for target in each.get("targets", [])]
    found += [each["expr"] for each in document["annotations"]["list"] if "expr" in each]
    for name, value in _VARIABLES.items():
        found = [each.replace(name, value) for each in found]
    assert not [each for each in found if "$" in each]
    return found
