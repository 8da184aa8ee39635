"""The dashboard of examples/monitoring, as far as Prometheus is concerned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples/monitoring"

_VARIABLES = {"$instance": ".*", "$bus": ".*", "$__rate_interval": "1m"}


def expressions(document: dict[str, Any]) -> list[str]:
    """List the queries of all panels and annotations, with Grafana's variables filled in."""
    queries = [
        target["expr"] for panel in document["panels"] for target in panel.get("targets", [])
    ]
    annotations = document["annotations"]["list"]
    queries += [annotation["expr"] for annotation in annotations if "expr" in annotation]
    for name, value in _VARIABLES.items():
        queries = [query.replace(name, value) for query in queries]
    assert not [query for query in queries if "$" in query]
    return queries
