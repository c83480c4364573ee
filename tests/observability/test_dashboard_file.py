"""The dashboard and the alerts ask for metrics, labels and values that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from doubles.observed import asked, head_of, hit, told, watch

from semcache_integrations import SemanticCache
from semcache_integrations.core.models import CacheEvent
from semcache_integrations.observability import PrometheusMetrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAME = re.compile(r"\bsemcache_\w+")
SELECTED = re.compile(r"\b(semcache_\w+)\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"job", "le"}


@pytest.fixture(scope="module")
def board():
    return json.loads((DOCS / "grafana.json").read_text())


@pytest.fixture
async def exposed():
    """Return the labels of every sample's name, each metric having been used once."""
    metrics = PrometheusMetrics(prices={"gpt-4o-mini": (0.15, 0.60)})
    for kind in ("hit", "miss", "store", "breaker_open"):
        metrics.event(CacheEvent(kind, reason="store" if "breaker" in kind else "", similarity=0.9))
    await told(watch(metrics.happening), head_of(hit()), asked())
    metrics.watch_breakers(lambda: {"one": "open"})
    with SemanticCache(hash_only=True) as cache:
        metrics.watch(cache)
        families = list(metrics.registry.collect())
    names = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    return names | {"semcache_requests_incomplete_total": {"status"}}


def queries(board) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def alerts() -> str:
    return re.search(r"```yaml\n(.*?)```", (DOCS / "operations.md").read_text(), re.DOTALL).group(1)


def test_every_metric_that_the_dashboard_asks_for_is_exposed(board, exposed):
    asked_for = set(NAME.findall("\n".join(queries(board))))
    assert asked_for
    assert asked_for <= set(exposed)
    variables = json.dumps(board["templating"])
    assert set(NAME.findall(variables)) <= set(exposed)


def test_every_label_that_the_dashboard_and_the_alerts_ask_for_is_the_metrics_own(board, exposed):
    for expression in (*queries(board), *re.findall(r"expr:.*", alerts())):
        own = OF_PROMETHEUS.union(*(exposed[name] for name in NAME.findall(expression)))
        for name, selector in SELECTED.findall(expression):
            assert {one.split("=")[0].rstrip("!") for one in selector.split(",")} <= exposed[
                name
            ] | OF_PROMETHEUS
        for grouping in GROUPED.findall(expression):
            assert set(re.split(r",\s*", grouping)) <= own


def test_every_metric_of_the_alerts_and_of_the_table_is_exposed(exposed):
    assert set(NAME.findall(alerts())) <= set(exposed)
    table = [
        line for line in (DOCS / "operations.md").read_text().splitlines() if line.startswith("| `semcache_")
    ]
    listed = {name for line in table for name in NAME.findall(line.split("|")[1])}
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed if not name.endswith("_created")}
    assert listed == plain


def test_the_dashboard_shows_what_is_to_be_watched(board):
    wanted = {
        *("semcache_requests_total", "semcache_request_seconds_bucket", "semcache_lookup_similarity_bucket"),
        *("semcache_saved_tokens_total", "semcache_saved_usd_total", "semcache_backend_breaker"),
        *("semcache_upstream_breaker", "semcache_memory_entries", "semcache_memory_bytes"),
    }
    assert wanted <= set(NAME.findall("\n".join(queries(board))))
    assert {"heatmap", "timeseries", "stat"} == {panel["type"] for panel in board["panels"]}


def test_the_panels_have_ids_of_their_own_and_do_not_overlap(board):
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
