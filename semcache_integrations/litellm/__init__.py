"""LiteLLM on the semantic cache: `litellm.cache = LiteLLMSemanticCache()`.

On a cache hit LiteLLM imports modules of its proxy, with packages that it does not depend on (fastapi since
1.102, soundfile in 1.108). They are imported here, as is what a replay needs, so that a missing package is the
importer's error and not that of a user's call.
"""

from __future__ import annotations

try:
    from semcache_integrations.litellm.versions import import_what_hits_need

    import_what_hits_need()
except ImportError as error:
    raise ImportError(
        f"caching with LiteLLM needs {error.name}: pip install 'semcache-integrations[litellm]'"
    ) from error

from semcache_integrations.core.replay import Replay
from semcache_integrations.litellm.cache import LiteLLMSemanticCache

__all__ = ["LiteLLMSemanticCache", "Replay"]

del import_what_hits_need
