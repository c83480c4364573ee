"""LangChain on the semantic cache: `set_llm_cache(LangChainSemanticCache())`, or `with_semantic_cache(model)`."""

from __future__ import annotations

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise ImportError(
        "caching with LangChain needs langchain-core: pip install 'semcache-integrations[langchain]'"
    ) from error

from typing import TYPE_CHECKING

from semcache_integrations.core.replay import Replay as ReplayConfig
from semcache_integrations.langchain.cache import LangChainSemanticCache
from semcache_integrations.lazy import lazily

if TYPE_CHECKING:
    from semcache_integrations.langchain.callbacks import StreamReplayHandler
    from semcache_integrations.langchain.chains import cache_runnable
    from semcache_integrations.langchain.middleware import (
        SemanticCacheAgentMiddleware as SemanticCacheAgentMiddleware,
    )
    from semcache_integrations.langchain.wrapping import (
        semantic_cache_of,
        with_semantic_cache,
        without_semantic_cache,
    )

# SemanticCacheAgentMiddleware needs the extra `agents`: `import *` must not.
__all__ = [
    "LangChainSemanticCache",
    "ReplayConfig",
    "StreamReplayHandler",
    "cache_runnable",
    "semantic_cache_of",
    "with_semantic_cache",
    "without_semantic_cache",
]

__getattr__ = lazily(
    __name__,
    {
        "callbacks": ("StreamReplayHandler",),
        "chains": ("cache_runnable",),
        "middleware": ("SemanticCacheAgentMiddleware",),
        "wrapping": ("semantic_cache_of", "with_semantic_cache", "without_semantic_cache"),
    },
)

del _langchain_core
