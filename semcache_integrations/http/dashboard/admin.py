"""`/admin`: the dashboard's routes.

The law: everything under `/admin` is ours, whatever its method: nothing of it goes upstream, where its cookie would go
along. Whoever the guard refuses learns how to mend it, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias  # Any: JSON
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import StoreError
from semcache_integrations.http import bodies
from semcache_integrations.http.dashboard import page
from semcache_integrations.http.dashboard.contents import Contents, memory
from semcache_integrations.http.dashboard.guard import COOKIE, SESSION_S, Guard
from semcache_integrations.http.dashboard.recent import STATUSES, Recent
from semcache_integrations.http.problems import ProblemError

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HOME, _LOGIN = "/admin", "/admin/login"
_SEE_OTHER, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _UNAVAILABLE = 303, 400, 403, 404, 503
_LARGEST = 64 * 2**10
_LONGEST_SEARCH = 500


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be deleted: exactly one of these, so that nobody deletes more than was meant."""

    entry_id: str | None = None
    model: str | None = None
    tag: str | None = None
    tenant: str | None = None


class Admin:
    """The dashboard.

    Args:
        cache: What is shown, and deleted from.
        recent: What has happened; the gateway must have it among its watchers.
        guard: Who may see it.
    """

    def __init__(self, cache: SemanticCache, recent: Recent, guard: Guard) -> None:
        self._cache = cache
        self._recent = recent
        self._guard = guard
        self._contents = Contents(cache)

    def routes(self) -> list[BaseRoute]:
        """Return the routes; they come before any that matches everything."""
        return [
            Route(_HOME, self._page, methods=["GET"]),
            Route(_LOGIN, self._login_page, methods=["GET"]),
            Route(_LOGIN, _told(self._login), methods=["POST"]),
            Route("/admin/logout", self._guarded(self._logout), methods=["POST"]),
            Route("/admin/data", self._guarded(self._data), methods=["GET"]),
            Route("/admin/search", self._guarded(self._search), methods=["GET"]),
            Route("/admin/delete", self._guarded(self._delete), methods=["POST"]),
            Route(_HOME, _told(_absent), methods=_METHODS),
            Route("/admin/{rest:path}", _told(_absent), methods=_METHODS),
        ]

    async def _page(self, request: Request) -> Response:
        try:
            self._guard.check(request)
        except ProblemError as problem:
            if self._guard.wants_token:
                return page.safe(RedirectResponse(_LOGIN, _SEE_OTHER))
            return page.safe(PlainTextResponse(f"{problem.message}\n", problem.status))
        return page.dashboard().response()

    async def _login_page(self, _request: Request) -> Response:
        if not self._guard.wants_token:
            return page.safe(RedirectResponse(_HOME, _SEE_OTHER))
        return page.login().response()

    async def _login(self, request: Request) -> Response:
        self._guard.check_origin(request)
        form = parse_qs((await bodies.read(request, _LARGEST)).decode("utf-8", "replace"))
        if not self._guard.admits(form.get("token", [""])[0]):
            return page.login(wrong=True).response(_FORBIDDEN)
        response = RedirectResponse(_HOME, _SEE_OTHER)
        response.set_cookie(COOKIE, self._guard.session(), SESSION_S, **_cookie(request))
        return response

    async def _logout(self, request: Request) -> Response:
        response = JSONResponse({"at": _LOGIN})
        response.delete_cookie(COOKIE, **_cookie(request))
        return response

    async def _data(self, _request: Request) -> Response:
        return _json(
            {
                **self._recent.snapshot(),
                "cache": await self._contents.snapshot(),
                "memory": memory(),
                "token": self._guard.wants_token,
            }
        )

    async def _search(self, request: Request) -> Response:
        text, status = request.query_params.get("q", ""), request.query_params.get("status", "")
        if len(text) > _LONGEST_SEARCH:
            raise ProblemError(_BAD_REQUEST, f"q has more than {_LONGEST_SEARCH} characters")
        if status and status not in STATUSES:
            raise ProblemError(_BAD_REQUEST, f"status is one of {', '.join(STATUSES)}")
        return _json(self._recent.search(text, status))

    async def _delete(self, request: Request) -> Response:
        chosen = _chosen(await bodies.read(request, _LARGEST))
        try:
            deleted = await self._cache.ainvalidate(
                chosen.entry_id, tag=chosen.tag, model=chosen.model, tenant=chosen.tenant
            )
        except StoreError as error:
            raise ProblemError(
                _UNAVAILABLE, f"memory has forgotten it, but the store could not delete it: {error}"
            ) from None
        self._recent.forget(
            entry_id=chosen.entry_id or "", model=chosen.model or "", tenant=chosen.tenant or ""
        )
        self._contents.changed()
        return _json({"deleted": deleted})

    def _guarded(self, answer: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            self._guard.check(request)
            return await answer(request)

        return _told(guarded)


def _told(answer: Endpoint) -> Endpoint:
    """Return an endpoint that tells what is wrong, and whose answers no other site can use."""

    async def told(request: Request) -> Response:
        try:
            return page.safe(await answer(request))
        except ProblemError as problem:
            return page.safe(_json(problem.body(), problem.status))

    return told


async def _absent(_request: Request) -> Response:
    raise ProblemError(_NOT_FOUND, "there is nothing here; the dashboard is at /admin")


def _chosen(body: bytes) -> _Chosen:
    names = [field.name for field in fields(_Chosen)]
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise ProblemError(_BAD_REQUEST, "the body is not JSON") from None
    if isinstance(said, dict) and len(said) == 1:
        name, value = next(iter(said.items()))
        if name in names and isinstance(value, str) and value:
            return _Chosen(**{name: value})
    raise ProblemError(
        _BAD_REQUEST, f"the body names one of {', '.join(names)}, and a text that is not empty"
    )


def _cookie(request: Request) -> dict[str, Any]:
    return {
        "path": _HOME,
        "httponly": True,
        "samesite": "strict",
        "secure": request.url.scheme == "https",
    }


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
