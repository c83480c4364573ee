"""Metrics of what became of the proxy's requests: how many, how fast, how similar, and what they saved.

The law: a request is counted once, when it has ended. What nobody measured, counted or priced is left out, not zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry

from semcache_integrations.core.models import Tier
from semcache_integrations.observability.bounded import OTHER, Names, one_of
from semcache_integrations.observability.families import REQUEST_S, SIMILARITY, Families
from semcache_integrations.observability.prices import Prices

if TYPE_CHECKING:
    from semcache_integrations.http.happenings import Happening

_STATUSES = frozenset({"hit", "miss", "bypass", "stale", "error"})
_TIERS = frozenset({*get_args(Tier), "flight"})
_DIALECTS = frozenset({"chat", "responses", "messages", "generic"})
_LABELS = ("status", "tier", "dialect", "code")
_CLASSES = range(1, 6)


class RequestMetrics:
    """Counts the proxy's requests.

    Args:
        registry: Where the metrics are registered.
        prices: Of the models.
        models: The labels that models get.
    """

    def __init__(self, registry: CollectorRegistry, prices: Prices, models: Names) -> None:
        self._prices = prices
        self._models = models
        new = Families(registry)
        self._requests = new.counter("semcache_requests", "Requests by what became of them.", *_LABELS)
        self._incomplete = new.counter(
            "semcache_requests_incomplete", "Requests whose answer was not read to its end.", "status"
        )
        self._head_s = new.histogram(
            "semcache_request_head_seconds", "Time until the answer began.", REQUEST_S, "status"
        )
        self._total_s = new.histogram(
            "semcache_request_seconds", "Time until the answer ended.", REQUEST_S, "status"
        )
        self._similarity = new.histogram(
            "semcache_request_similarity", "Cosine of the two questions.", SIMILARITY, "status", "tier"
        )
        self._tokens = new.counter("semcache_saved_tokens", "Tokens that hits saved.", "model", "kind")
        self._usd = new.counter("semcache_saved_usd", "What they cost by list price, where known.", "model")

    def takes(self, happening: Happening) -> None:
        """Take note of one request."""
        status, tier = one_of(happening.status, _STATUSES), one_of(happening.tier, _TIERS)
        dialect = one_of(happening.dialect, _DIALECTS)
        self._requests.labels(status, tier, dialect, _class(happening.http_status)).inc()
        if not happening.complete:
            self._incomplete.labels(status).inc()
        if happening.total_s > 0:  # refusals are not timed
            self._head_s.labels(status).observe(happening.head_s)
            self._total_s.labels(status).observe(happening.total_s)
        similarity = happening.similarity
        if similarity is not None and math.isfinite(similarity):
            self._similarity.labels(status, tier).observe(min(1.0, similarity))
        self._saved(happening.model, max(0, happening.prompt_tokens), max(0, happening.answer_tokens))

    def _saved(self, model: str, prompt: int, answer: int) -> None:
        if not prompt + answer:
            return
        label = self._models.label(model)
        self._tokens.labels(label, "prompt").inc(prompt)
        self._tokens.labels(label, "answer").inc(answer)
        usd = self._prices.usd(model, prompt, answer)
        if usd is not None:
            self._usd.labels(label).inc(usd)


def _class(http_status: int) -> str:
    first = http_status // 100
    return f"{first}xx" if first in _CLASSES else OTHER
