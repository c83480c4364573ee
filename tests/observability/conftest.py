"""What the tests of observability share."""

from __future__ import annotations

import pytest

from semcache_integrations.observability import PrometheusMetrics


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(prices={"gpt-4o-mini": (0.15, 0.60)})
