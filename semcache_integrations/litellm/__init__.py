"""LiteLLM on the semantic cache: `litellm.cache = LiteLLMSemanticCache()`."""

from __future__ import annotations

try:
    import fastapi  # LiteLLM imports it on every cache hit since 1.102, without depending on it
    import litellm
except ImportError as error:
    raise ImportError("LiteLLM support needs an extra: pip install 'semcache-integrations[litellm]'") from error

from semcache_integrations.litellm.cache import LiteLLMSemanticCache
from semcache_integrations.litellm.replay import Replay

__all__ = ["LiteLLMSemanticCache", "Replay"]

del fastapi, litellm
