"""Prometheus' metrics of a cache and of the proxy: `PrometheusMetrics`.

The law: it is told by hooks and watchers, and it reads at each scrape; it changes nothing and holds up nobody. Each
object has a registry of its own, so two applications in one process do not meet.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder
except ImportError as error:
    raise ImportError(
        f"Prometheus' metrics need {error.name}: pip install 'semcache-integrations[metrics]'"
    ) from error

from semcache_integrations.observability.bounded import Names
from semcache_integrations.observability.lookups import LookupMetrics
from semcache_integrations.observability.prices import Price, Prices
from semcache_integrations.observability.requests import RequestMetrics
from semcache_integrations.observability.scraped import Scraped, States
from semcache_integrations.troubles import Troubles

if TYPE_CHECKING:
    from semcache_integrations.cache import SemanticCache
    from semcache_integrations.core.models import CacheEvent
    from semcache_integrations.http.happenings import Happening

_MODELS = 50
_OPENMETRICS = "application/openmetrics-text"


class PrometheusMetrics:
    """Counts what a cache and its proxy do.

    ```python
    from semcache_integrations import SemanticCache
    from semcache_integrations.observability import PrometheusMetrics

    metrics = PrometheusMetrics()
    with SemanticCache(hash_only=True, hooks=[metrics.event]) as cache:
        metrics.watch(cache)
        cache.put("What is the capital of France?", "Paris")
        assert cache.get("What is the capital of France?") == "Paris"
        body, content_type = metrics.exposition()
    assert b'semcache_lookups_total{reason="none",result="hit",tier="hash"} 1.0' in body
    ```

    Args:
        registry: Where the metrics are registered, instead of a registry of its own.
        prices: Of the models, in US dollars per million tokens; LiteLLM's list if the program has imported it.
        models: How many models, and how many upstreams, have labels of their own; later ones are `other`.

    Attributes:
        troubles: What could not be read or written, and how often.

    Raises:
        ConfigurationError: a price is no amount, or there is room for no model.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        prices: Prices | Mapping[str, Price] | None = None,
        models: int = _MODELS,
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self.troubles = Troubles(logging.getLogger("semcache_integrations.observability"))
        self._lookups = LookupMetrics(self.registry)
        self._requests = RequestMetrics(self.registry, _prices(prices), Names(models))
        self._scraped = Scraped(self.troubles, Names(models))
        self.registry.register(self._scraped)

    def event(self, event: CacheEvent) -> None:
        """Take note of what a cache did: a hook, `SemanticCache(hooks=[metrics.event])`."""
        with self.troubles.going_on("counting an event"):
            self._lookups.takes(event)

    def happening(self, happening: Happening) -> None:
        """Take note of what became of a request: a watcher of the proxy."""
        with self.troubles.going_on("counting a request"):
            self._requests.takes(happening)

    def watch(self, cache: SemanticCache, name: str = "default") -> None:
        """Read `cache.stats()` at each scrape from now on.

        Args:
            cache: What to read.
            name: The label that tells it from other caches.

        Raises:
            ConfigurationError: another cache has this name.
        """
        self._scraped.watch(cache, name)

    def watch_breakers(self, states: States) -> None:
        """Read the upstreams' breakers at each scrape from now on.

        Args:
            states: Returns `closed`, `half-open` or `open` by upstream.
        """
        self._scraped.watch_breakers(states)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return what Prometheus reads, and its content type.

        Args:
            accept: The request's `Accept` header; OpenMetrics is given to whoever names it.
        """
        encode, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in accept.lower() else "")
        return encode(self.registry), content_type


def _prices(stated: Prices | Mapping[str, Price] | None) -> Prices:
    if stated is None:
        return Prices.at_hand()
    return stated if isinstance(stated, Prices) else Prices(stated)
