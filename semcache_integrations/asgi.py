"""The cache for ASGI: around your own application, or as a proxy in front of LLM providers."""

from __future__ import annotations

try:
    import httpcore as _httpcore
    import httpx_sse as _httpx_sse
    import jsonpath_rfc9535 as _jsonpath
    import starlette as _starlette
except ImportError as error:
    raise ImportError(
        f"the middleware and the proxy need {error.name}: pip install 'semcache-integrations[server]'"
    ) from error

from semcache_integrations.http.egress import Timeouts
from semcache_integrations.http.middleware import SemanticCacheMiddleware
from semcache_integrations.http.providers import ANTHROPIC, GENERIC, OPENAI, Provider, Providers
from semcache_integrations.http.proxy import ProxySettings, create_proxy_app
from semcache_integrations.http.resending import Retries
from semcache_integrations.http.stale import Staleness

__all__ = [
    "ANTHROPIC",
    "GENERIC",
    "OPENAI",
    "Provider",
    "Providers",
    "ProxySettings",
    "Retries",
    "SemanticCacheMiddleware",
    "Staleness",
    "Timeouts",
    "create_proxy_app",
]

del _httpcore, _httpx_sse, _jsonpath, _starlette
