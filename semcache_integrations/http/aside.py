"""Cache-aside over HTTP, as Semcache's clients speak it: `PUT /semcache/v1/put`, `POST /semcache/v1/get`.

The law: a text comes back as it was put, to whoever has the same credential, and no proxied call ever meets it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any  # JSON

from starlette.requests import Request
from starlette.responses import Response

from semcache_integrations import labels
from semcache_integrations.aside import answer_of, question
from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import Hit
from semcache_integrations.http import bodies
from semcache_integrations.http.calls import Call
from semcache_integrations.http.credentials import credential_of, tenant_name
from semcache_integrations.http.gateway import refusal
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.wishes import controls

_OK, _BAD_REQUEST, _NOT_FOUND, _NOT_ALLOWED, _UNAVAILABLE = 200, 400, 404, 405, 503
_PLAIN = (
    "text/plain; charset=utf-8"  # Semcache's octet-stream lets its own client guess, wrongly, at the charset
)


class CacheAside:
    """The two endpoints.

    Args:
        cache: Where texts are kept.
        secret: Keys the digests of credentials.
        share: Whether texts are everybody's, whatever their credential.
        largest: Bytes of a request's body.
    """

    def __init__(
        self,
        cache: SemanticCache,
        *,
        secret: bytes = b"",
        share: bool = False,
        largest: int = bodies.LARGEST_REQUEST,
    ) -> None:
        self._cache, self._secret, self._share, self._largest = cache, secret, share, largest

    async def put(self, request: Request) -> Response:
        """Keep `data` under `key`: 200, or 503 if the store refused it."""
        try:
            call, said = await self._said(request, "PUT", "key", "data")
            wished = controls(call, semantic=True)
            stored = await self._cache.aput(
                said["key"], said["data"], tenant=self._tenant(call), ttl_s=wished.ttl_s, tags=wished.tags
            )
        except ProblemError as problem:
            return refusal(problem, anthropic=False)
        except UnkeyableError as error:
            return refusal(ProblemError(_BAD_REQUEST, str(error)), anthropic=False)
        if stored is None:
            return refusal(ProblemError(_UNAVAILABLE, "it was not stored"), anthropic=False)
        return Response(status_code=_OK, headers={"x-cache-entry": stored})

    async def get(self, request: Request) -> Response:
        """Return what is kept under `key` or under one that means the same: 200 and the text, or 404 and nothing."""
        try:
            call, said = await self._said(request, "POST", "key")
            asked = question(said["key"], tenant=self._tenant(call))
            found = await self._cache.alookup(replace(asked, controls=controls(call, semantic=True)))
        except ProblemError as problem:
            return refusal(problem, anthropic=False)
        text = answer_of(found)
        if text is None or not isinstance(found, Hit):
            return Response(
                status_code=_NOT_FOUND,
                headers=labels.other("miss", "" if isinstance(found, Hit) else found.reason),
            )
        return Response(text, headers=labels.of_hit(found, self._cache.age_s(found.entry)), media_type=_PLAIN)

    def _tenant(self, call: Call) -> str:
        return tenant_name(credential_of(call, self._secret), share=self._share)

    async def _said(self, request: Request, method: str, *names: str) -> tuple[Call, dict[str, Any]]:
        if request.method != method:
            raise ProblemError(_NOT_ALLOWED, f"this path is the cache's own, and wants {method}")
        body = await bodies.read(request, self._largest)
        call = Call(request.method, str(request.url), tuple(request.headers.raw), body)
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            raise ProblemError(_BAD_REQUEST, "the body is not JSON") from None
        if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in names):
            raise ProblemError(
                _BAD_REQUEST, f"the body is an object with {' and '.join(names)}, which are strings"
            )
        return call, said
