"""OneLLM's four functions: one call that switches the cache on in every framework that is installed.

The only module with a global cache: the cache that `init_cache` made. Names, arguments and defaults are OneLLM's.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TypedDict

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.replay import Replay, Strategy


class CacheCounts(TypedDict):
    """What `cache_stats` returns: look-ups answered, look-ups not answered, entries in memory."""

    hits: int
    misses: int
    entries: int


_current: SemanticCache | None = None


def init_cache(
    max_entries: int = 1000,
    p: float = 0.95,
    hash_only: bool = False,  # noqa: FBT001, FBT002 - OneLLM's signature
    stream_chunk_strategy: Strategy = "words",
    stream_chunk_length: int = 8,
    ttl: float = 86400,
    *,
    similarity_threshold: float | None = None,
) -> SemanticCache:
    """Switch the cache on for LangChain and LiteLLM, whichever of them is installed.

    Args:
        max_entries: Most entries in memory.
        p: Least cosine of a semantic hit, 0-1.
        hash_only: Exact repeats only; no model is loaded.
        stream_chunk_strategy: How a stored answer is cut when it is replayed as a stream.
        stream_chunk_length: So many words, sentences, paragraphs or characters a chunk.
        ttl: Seconds that an entry lives after its last use.
        similarity_threshold: The same as `p`, which it overrides.

    Raises:
        ConfigurationError: an argument is out of bounds, or the embedding model is not installed.
    """
    global _current  # noqa: PLW0603 - OneLLM's functions share one cache by definition
    replay = Replay(stream_chunk_strategy, stream_chunk_length)
    cache = SemanticCache(
        max_entries=max_entries,
        similarity_threshold=p if similarity_threshold is None else similarity_threshold,
        hash_only=hash_only,
        ttl_s=ttl,
        ttl_sliding=True,
    )
    disable_cache()
    _current = cache
    for framework in _installed():
        _switch_on(framework, cache, replay)
    return cache


def disable_cache() -> None:
    """Switch the cache off everywhere and free it; without one, do nothing."""
    global _current  # noqa: PLW0603 - as above
    if _current is None:
        return
    for framework in _installed():
        _switch_off(framework, _current)
    _current.close()
    _current = None


def clear_cache() -> None:
    """Delete all entries and start counting from zero."""
    if _current is not None:
        _current.clear()
        _current.reset_stats()


def cache_stats() -> CacheCounts:
    """Return the counts since `init_cache` or `clear_cache`, all zero while the cache is off."""
    if _current is None:
        return {"hits": 0, "misses": 0, "entries": 0}
    stats = _current.stats()
    return {"hits": stats.hits, "misses": stats.lookups - stats.hits, "entries": stats.entries}


def _installed() -> list[str]:
    return [name for name, module in _FRAMEWORKS.items() if find_spec(module) is not None]


_FRAMEWORKS = {"langchain": "langchain_core", "litellm": "litellm"}


def _switch_on(framework: str, cache: SemanticCache, replay: Replay) -> None:
    if framework == "langchain":
        adapter = import_module("semcache_integrations.langchain").LangChainSemanticCache(cache)
        import_module("langchain_core.globals").set_llm_cache(adapter)
    else:
        adapter = import_module("semcache_integrations.litellm").LiteLLMSemanticCache(cache, replay=replay)
        vars(import_module("litellm"))["cache"] = adapter


def _switch_off(framework: str, cache: SemanticCache) -> None:
    """Take our own cache out, and only ours: the user may have set another one since."""
    if framework == "langchain":
        settings = import_module("langchain_core.globals")
        if getattr(settings.get_llm_cache(), "cache", None) is cache:
            settings.set_llm_cache(None)
    else:
        module = vars(import_module("litellm"))
        if getattr(module["cache"], "engine", None) is cache:
            module["cache"] = None
