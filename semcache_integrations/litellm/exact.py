"""LiteLLM's own key-value caching, on the engine's exact tiers: what it has no text for, and we no rule.

LiteLLM keeps embeddings input by input and puts partial hits together by itself; all that it needs is a
place for its values. That is the `litellm.cache.cache` that it reaches into.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from litellm.caching.base_cache import BaseCache

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.models import Lookup
from semcache_integrations.litellm.noting import note
from semcache_integrations.litellm.ticket import Ticket

_VERSION = 1


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
        return _value(found)

    def set_cache(self, key: object, value: object, **_kwargs: Any) -> None:
        """Keep a value under `key`."""
        if isinstance(key, Ticket) and key.request is not None:
            self._engine.store(key.request, _payload(value))

    async def async_set_cache(self, key: object, value: object, **_kwargs: Any) -> None:
        """Async twin of `set_cache`."""
        if isinstance(key, Ticket) and key.request is not None:
            await self._engine.astore(key.request, _payload(value))

    async def async_set_cache_pipeline(
        self, cache_list: Iterable[tuple[object, object]], **kwargs: Any
    ) -> None:
        """Keep many values."""
        for key, value in cache_list:
            await self.async_set_cache(key, value, **kwargs)

    async def batch_cache_write(self, key: object, value: object, **kwargs: Any) -> None:
        """Keep a value; there is nothing to gain from waiting."""
        await self.async_set_cache(key, value, **kwargs)

    async def disconnect(self) -> None:
        """Do nothing: `LiteLLMSemanticCache.disconnect` closes the engine."""

    async def ping(self) -> bool:
        """Say that the cache is there."""
        return True


def _payload(value: object) -> str:
    return orjson.dumps({"v": _VERSION, "value": value}).decode()


def _value(found: Lookup) -> Any:
    if not found:
        return None
    try:
        envelope = orjson.loads(found.payload)
        return envelope["value"] if envelope["v"] == _VERSION else None
    except (ValueError, TypeError, KeyError):
        return None
