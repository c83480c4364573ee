"""A semantic cache for LLM calls: LangChain, LiteLLM and plain Python on one engine.

Importing this package loads nothing heavy: every public name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcache_integrations.lazy import lazily

if TYPE_CHECKING:
    from semcache_integrations.cache import SemanticCache
    from semcache_integrations.comparers import JudgeComparer, SaysTheSame
    from semcache_integrations.config import CacheConfig
    from semcache_integrations.context import bypass, refresh, scope
    from semcache_integrations.core.errors import (
        BackendError,
        ConfigurationError,
        EmbeddingError,
        SemcacheError,
        StoreError,
        UnkeyableError,
    )
    from semcache_integrations.core.models import (
        CacheEntry,
        CacheEvent,
        CacheRequest,
        Candidate,
        Controls,
        Hit,
        Lookup,
        Miss,
    )
    from semcache_integrations.protocols import (
        AnswerComparer,
        Embedder,
        EventHook,
        Store,
        TTLPolicy,
        Verifier,
    )
    from semcache_integrations.switch import cache_stats, clear_cache, disable_cache, init_cache
    from semcache_integrations.ttl import AskedTTL, RuleTTL

__version__ = "0.1.0"

_HOMES = {
    "cache": ("SemanticCache",),
    "config": ("CacheConfig",),
    "context": ("bypass", "refresh", "scope"),
    "core.errors": (
        "BackendError",
        "ConfigurationError",
        "EmbeddingError",
        "SemcacheError",
        "StoreError",
        "UnkeyableError",
    ),
    "core.models": (
        "CacheEntry",
        "CacheEvent",
        "CacheRequest",
        "Candidate",
        "Controls",
        "Hit",
        "Lookup",
        "Miss",
    ),
    "comparers": ("JudgeComparer", "SaysTheSame"),
    "protocols": ("AnswerComparer", "Embedder", "EventHook", "Store", "TTLPolicy", "Verifier"),
    "ttl": ("AskedTTL", "RuleTTL"),
    "switch": ("cache_stats", "clear_cache", "disable_cache", "init_cache"),
}

__all__ = [
    "AnswerComparer",
    "AskedTTL",
    "BackendError",
    "CacheConfig",
    "CacheEntry",
    "CacheEvent",
    "CacheRequest",
    "Candidate",
    "ConfigurationError",
    "Controls",
    "Embedder",
    "EmbeddingError",
    "EventHook",
    "Hit",
    "JudgeComparer",
    "Lookup",
    "Miss",
    "RuleTTL",
    "SaysTheSame",
    "SemanticCache",
    "SemcacheError",
    "Store",
    "StoreError",
    "TTLPolicy",
    "UnkeyableError",
    "Verifier",
    "__version__",
    "bypass",
    "cache_stats",
    "clear_cache",
    "disable_cache",
    "init_cache",
    "refresh",
    "scope",
]


__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
