"""TRANSLATES LangChain's caching interface to the engine: `LangChainSemanticCache`.

The only package of ours that imports LangChain; `keys.py`, `identity.py` and `opaque.py` do not even do that.
"""

from __future__ import annotations

try:
    import langchain_core  # noqa: F401 - only to say which extra is missing
except ImportError as error:
    raise ImportError(
        "semcache_integrations.langchain needs LangChain: pip install 'semcache-integrations[langchain]'"
    ) from error

from semcache_integrations.langchain.cache import LangChainSemanticCache

__all__ = ["LangChainSemanticCache"]
