"""OBSERVABILITY: what a cache and its proxy did, as Prometheus' metrics and as OpenTelemetry's spans.

The law: it is told and it reads, it never decides; what goes wrong here costs a number, never an answer. No prompt, no
answer and no tenant goes into a label or a span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcache_integrations.lazy import lazily

if TYPE_CHECKING:
    from semcache_integrations.observability.otel import Spans
    from semcache_integrations.observability.prices import Prices
    from semcache_integrations.observability.prometheus import PrometheusMetrics

__all__ = ["Prices", "PrometheusMetrics", "Spans"]

_HOMES = {"otel": ("Spans",), "prices": ("Prices",), "prometheus": ("PrometheusMetrics",)}


__getattr__ = lazily(__name__, _HOMES)
