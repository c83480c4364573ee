"""LangChain on the semantic cache: `set_llm_cache(LangChainSemanticCache())`."""

from __future__ import annotations

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise ImportError(
        "caching with LangChain needs langchain-core: pip install 'semcache-integrations[langchain]'"
    ) from error

from semcache_integrations.langchain.cache import LangChainSemanticCache

__all__ = ["LangChainSemanticCache"]

del _langchain_core
