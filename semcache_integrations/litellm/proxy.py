"""The plug-in of LiteLLM's proxy: `callbacks: ["semcache_integrations.litellm.proxy.handler"]` turns the cache on.

The law: importing this module is the switch, and the environment (`SEMCACHE_*`) its settings; one that cannot
work stops the start, and nothing stops a request. Response headers are made of what the look-up noted.

`x-litellm-cache-key` of a hit is the id of the entry that answered, so that deleting a key by `/cache/delete`
deletes the answer that was shown with it, whichever question it was kept for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import litellm

try:
    from litellm.proxy.proxy_server import app
except ImportError as error:
    raise ImportError(
        f"LiteLLM's proxy cannot be imported: {error}. Install what it needs: pip install 'litellm[proxy]'"
    ) from error
from litellm.integrations.custom_logger import CustomLogger

from semcache_integrations import labels
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.litellm.cache import LiteLLMSemanticCache
from semcache_integrations.litellm.noting import Note, noted
from semcache_integrations.litellm.proxy_routes import serve_administration

_NEITHER: Final = {"no-cache": True, "no-store": True}


class ProxyPlugin(CustomLogger):
    """Says in the response headers what the cache did, and keeps a request's mistakes from failing it.

    Args:
        cache: The cache that the headers speak of.
    """

    def __init__(self, cache: LiteLLMSemanticCache) -> None:
        super().__init__()
        self.cache = cache

    async def async_pre_call_hook(
        self,
        user_api_key_dict: object,
        cache: object,
        data: dict[str, Any],  # Any: the body of a request
        call_type: str,
    ) -> dict[str, Any]:
        """Let a request whose `cache` is no object go past the cache: LiteLLM would fail on it."""
        del user_api_key_dict, cache, call_type  # LiteLLM passes them by name; the body alone decides
        if "cache" in data and not isinstance(data["cache"], dict):
            data["cache"] = {} if data["cache"] is None else dict(_NEITHER)
        return data

    async def async_post_call_response_headers_hook(
        self,
        data: Mapping[str, object],
        user_api_key_dict: object,
        response: object,
        request_headers: Mapping[str, str] | None = None,
        litellm_call_info: Mapping[str, object] | None = None,
    ) -> dict[str, str]:
        """Return the headers that say what the cache did for this request."""
        # LiteLLM passes them by name; an answer of /v1/messages is a dict without metadata, so the request tells
        del user_api_key_dict, response, request_headers, litellm_call_info
        return headers(noted(data))


def headers(note: Note | None) -> dict[str, str]:
    """Return the response headers that tell a note; without one the request went past the cache."""
    if note is None:
        return labels.other("bypass")
    if note["status"] != "hit":
        return labels.other(str(note["status"]), str(note.get("reason", "")))
    said = labels.hit(
        tier=f"{note['tier']}",
        similarity=note["similarity"],
        age_s=note["age_s"],
        entry_id=f"{note['entry_id']}",
    )
    return {**said, "x-litellm-cache-key": said["x-cache-entry"], "x-litellm-response-cost": "0.0"}


def _switched_on() -> ProxyPlugin:
    if litellm.cache is not None:
        raise ConfigurationError(
            "config.yaml turns on two caches: drop `cache: true` from litellm_settings, or this callback"
        )
    litellm.cache = LiteLLMSemanticCache()
    serve_administration(app, litellm.cache.engine)
    return ProxyPlugin(litellm.cache)


handler: Final = _switched_on()
"""What config.yaml names."""
