"""The reference lists the metrics that the daemon exposes, and no others."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from evercan.link.members import Members
from evercan.link.names import LinkId
from evercan.link.report import ACTIVE, Report, Sent
from tests.support.engine import Engine, engine_id
from tests.support.pages import PAGES, code, read, table
from tests.support.plugin import Plugin
from tests.support.scraping import scraped
from tests.support.shared_kernel import SharedKernel

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")
PHYSICAL = {"dev": "can", "id": "0", "kind": "physical", "bitrate": "500000"}


async def exposed(plugin: Plugin) -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each exposed metric, by its name in Prometheus."""
    text = await scraped(plugin.socket)
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    found: dict[str, tuple[str, set[str]]] = {
        name: (kind, set()) for name, kind in types.items() if not name.endswith("_created")
    }
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for name in (sample.name, family.name):
                if name in found:
                    found[name][1].update(sample.labels.keys() - {"le"})
    return found


async def test_the_reference_lists_the_exposed_metrics(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await engine.start(NETWORK, DASHBOARD)
    listed = {
        code(name)[0]: (kind, set(code(labels)))
        for name, kind, labels, _ in table("docs/reference.md", "Metrics")
    }
    seen = await exposed(plugin)
    assert {name: kind for name, (kind, _) in seen.items()} == {
        name: kind for name, (kind, _) in listed.items()
    }
    for name, (_, labels) in seen.items():
        assert labels in (set(), listed[name][1]), name


def exposed_by_a_link() -> set[str]:
    """Return the metrics of a link between hosts."""
    own = LinkId("a", 1, 1)
    report = Report("powertrain", Members(own, 1), ACTIVE, Sent(), 0, 0, ())
    return set(re.findall(r"^# TYPE (\S+) \S+$", report.metrics(), re.MULTILINE))


def test_the_page_of_links_lists_their_metrics() -> None:
    listed = {code(name)[0] for name, _ in table("docs/hosts.md", "Watch it")}
    assert listed == exposed_by_a_link()


async def test_pages_and_examples_use_no_other_metric(plugin: Plugin) -> None:
    known = set(await exposed(plugin)) | exposed_by_a_link()
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_sum", "_count")}
    known.add("evercan_ready")  # a pytest fixture
    for page in PAGES:
        for name in re.findall(r"\bevercan_[a-z_]+[a-z]\b", read(page)):
            assert name in known, f"{page}: {name}"
