"""`/cache/ping`, `/cache/delete` and `/cache/flushall` of LiteLLM's proxy, for this cache.

LiteLLM's own work with Redis alone, and its ping shows every attribute of a cache, half of the secret too.

The law: nothing of the settings or of the contents is shown. Who may call them is LiteLLM's decision, as for its
own, and what they answer has its form. A key that is not there is no error: it is gone, which is what was asked for.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from litellm.types.caching import CachePingResponse

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import StoreError

_NAME = "semcache"


def serve_administration(app: FastAPI, engine: SemanticCache) -> None:
    """Put routes that administer `engine` in front of LiteLLM's own of the same paths."""
    router = APIRouter(prefix="/cache", dependencies=[Depends(user_api_key_auth)], include_in_schema=False)

    @router.get("/ping")
    async def ping() -> CachePingResponse:
        return CachePingResponse(status="healthy", cache_type=_NAME, ping_response=True)

    @router.post("/delete")
    async def delete(keys: Annotated[list[str], Depends(_keys)]) -> dict[str, str]:
        try:
            for key in keys:
                await engine.ainvalidate(key)
        except StoreError as error:
            raise _unavailable(error) from None
        return {"status": "success"}

    @router.post("/flushall")
    async def flushall() -> dict[str, str]:
        try:
            await engine.aclear()
        except StoreError as error:
            raise _unavailable(error) from None
        return {"status": "success"}

    app.router.routes[:0] = router.routes  # the first that matches answers


async def _keys(request: Request) -> list[str]:
    """Return the keys that the body names."""
    try:
        body: Any = json.loads(await request.body())  # Any: whatever a client sends
    except ValueError:
        raise _refused("the body is no JSON") from None
    keys = body.get("keys") if isinstance(body, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key for key in keys):
        raise _refused("keys must be a list of keys, as x-litellm-cache-key or x-cache-entry shows them")
    return keys


def _refused(why: str) -> HTTPException:
    return HTTPException(status_code=400, detail={"error": f'{why}: {{"keys": ["…"]}}'})


def _unavailable(error: StoreError) -> HTTPException:
    detail = {"error": f"memory has forgotten it, but the store could not delete it: {error}"}
    return HTTPException(status_code=503, detail=detail)
