"""LiteLLM's own key-value caching, on the engine's exact tiers: what it has no text for, and we no rule.

LiteLLM keeps embeddings input by input and puts partial hits together by itself; all that it needs is a
place for its values. That is the `litellm.cache.cache` that it reaches into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litellm.caching.base_cache import BaseCache

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.models import Lookup
from semcache_integrations.litellm.envelope import opened, sealed
from semcache_integrations.litellm.noting import note
from semcache_integrations.litellm.ticket import Ticket


class ExactTier(BaseCache):
    """Keeps LiteLLM's values under the requests that its keys stand for; a foreign key keeps nothing.

    Args:
        engine: Where they are kept.
    """

    def __init__(self, engine: SemanticCache) -> None:
        super().__init__()
        self._engine = engine

    def get_cache(self, key: object, **_kwargs: Any) -> Any:
        """Return the value kept under `key`, or None."""
        if not isinstance(key, Ticket) or key.request is None:
            return None
        return self._read(self._engine.lookup(key.request), key)

    async def async_get_cache(self, key: object, **_kwargs: Any) -> Any:
        """Async twin of `get_cache`."""
        if not isinstance(key, Ticket) or key.request is None:
            return None
        return self._read(await self._engine.alookup(key.request), key)

    def _read(self, found: Lookup, key: Ticket) -> Any:
        age_s = self._engine.age_s(found.entry) if found else 0.0
        note(key.metadata, found, age_s, one_of_many=True)
        return opened(found.payload) if found else None

    def set_cache(self, key: object, value: Mapping[str, Any], **_kwargs: Any) -> None:
        """Keep a value under `key`."""
        if isinstance(key, Ticket) and key.request is not None:
            self._engine.store(key.request, sealed(value))

    async def async_set_cache(self, key: object, value: Mapping[str, Any], **_kwargs: Any) -> None:
        """Async twin of `set_cache`."""
        if isinstance(key, Ticket) and key.request is not None:
            await self._engine.astore(key.request, sealed(value))

    async def async_set_cache_pipeline(
        self, cache_list: Iterable[tuple[object, Mapping[str, Any]]], **kwargs: Any
    ) -> None:
        """Keep many values."""
        for key, value in cache_list:
            await self.async_set_cache(key, value, **kwargs)

    async def batch_cache_write(self, key: object, value: Mapping[str, Any], **kwargs: Any) -> None:
        """Keep a value; there is nothing to gain from waiting."""
        await self.async_set_cache(key, value, **kwargs)

    async def disconnect(self) -> None:
        """Do nothing: `LiteLLMSemanticCache.disconnect` closes the engine."""

    async def ping(self) -> bool:
        """Say that the cache is there."""
        return True
