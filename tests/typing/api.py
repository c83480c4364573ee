"""Never run, only type-checked: the public API as a typed program uses it."""

from __future__ import annotations

from semcache_integrations import CacheConfig, CacheRequest, Hit, Miss, SemanticCache

cache: SemanticCache = SemanticCache(CacheConfig(similarity_threshold=0.9), hash_only=True)
answer: str | None = cache.get("question", model="gpt")
entry_id: str | None = cache.put("question", "answer", tags=("doc",))
computed: str = cache.get_or_compute("question", lambda: "answer")
found: Hit | Miss = cache.lookup(CacheRequest("question", params={"temperature": 0}))
if isinstance(found, Hit):
    payload: str = found.payload
deleted: int = cache.invalidate(tag="doc")


async def use_async() -> None:
    """The async half has the same types."""
    async with SemanticCache(hash_only=True) as one:
        again: str | None = await one.aget("question")
        looked: Hit | Miss = await one.alookup(CacheRequest("question"))
        del again, looked
