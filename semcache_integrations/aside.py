"""Cache-aside: strings in, strings out, for notebooks and for code that calls its LLM itself.

Its entries are a dialect of their own: they never meet those of an adapter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import astuple
from typing import Any

import orjson

from semcache_integrations.context import labels
from semcache_integrations.core import answers
from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import DEFAULT_CONTROLS, NO_PARAMS, CacheRequest, Controls, Hit, Lookup
from semcache_integrations.engine import Engine
from semcache_integrations.single_flight import SingleFlight

_DIALECT = "text"
_VERSION = 1


class CacheAside(Engine):
    """`put`, `get` and `get_or_compute` on top of the engine.

    All of them take what must match exactly as `model=`, `params=`, `context=` (system prompt, earlier
    turns, document version…) and `tenant=`.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:  # Any: Engine checks them
        super().__init__(*args, **settings)
        self._flights: SingleFlight[str] = SingleFlight()

    def get(self, prompt: str, **about: Any) -> str | None:  # Any: the fields of `question`
        """Return the stored answer to this prompt or to one that means the same, else None.

        Args:
            prompt: The question.
            **about: `model`, `params`, `context`, `tenant`, `similarity_threshold`, `semantic`, `max_age_s`.
        """
        return answer_of(self.lookup(question(prompt, **about)))

    async def aget(self, prompt: str, **about: Any) -> str | None:
        """Async twin of `get`."""
        return answer_of(await self.alookup(question(prompt, **about)))

    def put(self, prompt: str, answer: str, **about: Any) -> str | None:
        """Store an answer; return its entry id, or None if it was not stored.

        Args:
            prompt: The question.
            answer: What `get` will return.
            **about: `model`, `params`, `context`, `tenant`, `ttl_s`, `tags`, `semantic`.
        """
        entry = self.store(question(prompt, **about), _payload(answer))
        return entry.id if entry else None

    async def aput(self, prompt: str, answer: str, **about: Any) -> str | None:
        """Async twin of `put`."""
        entry = await self.astore(question(prompt, **about), _payload(answer))
        return entry.id if entry else None

    def recall(self, request: CacheRequest) -> Hit | None:
        """Return what memory alone knows: what somebody else has stored since one's own look-up. Counts nothing."""
        found = self._recall(request, self._clock())
        return found if isinstance(found, Hit) else None

    def get_or_compute(self, prompt: str, compute: Callable[[], str], **about: Any) -> str:
        """Return the stored answer, or `compute()` it and store it.

        Concurrent equal misses compute once: the others wait for that answer.

        Args:
            prompt: The question.
            compute: Calls the LLM; what it raises reaches its own caller, nothing is stored.
            **about: As for `get` and `put`.
        """
        request = question(prompt, **about)
        found = answer_of(self.lookup(request))
        if found is not None:
            return found

        def lead() -> str:
            late = answer_of(self.recall(request))
            if late is not None:
                return late
            answer = compute()
            with suppress(UnkeyableError):  # half an emoji: its caller paid for it and gets it
                self.store(request, _payload(answer))
            return answer

        return lead() if (key := self.identity(request)) is None else self._flights.do(key, lead)

    async def aget_or_compute(self, prompt: str, compute: Callable[[], Awaitable[str]], **about: Any) -> str:
        """Async twin of `get_or_compute`."""
        request = question(prompt, **about)
        found = answer_of(await self.alookup(request))
        if found is not None:
            return found

        async def lead() -> str:
            late = answer_of(self.recall(request))
            if late is not None:
                return late
            answer = await compute()
            with suppress(UnkeyableError):
                await self.astore(request, _payload(answer))
            return answer

        return await lead() if (key := self.identity(request)) is None else await self._flights.ado(key, lead)


def question(
    prompt: str,
    *,
    model: str = "",
    params: Mapping[str, object] = NO_PARAMS,
    context: object = None,
    tenant: str = "",
    semantic: bool = True,
    similarity_threshold: float = 0.0,
    ttl_s: float | None = None,
    max_age_s: float = float("inf"),
    tags: tuple[str, ...] = (),
) -> CacheRequest:
    """Return the request for a cache-aside call; the fields are those of `CacheRequest` and `Controls`."""
    if not isinstance(prompt, str):
        raise TypeError(f"the prompt must be a str, not {type(prompt).__name__}")
    if not isinstance(tenant, str):  # 0 would be nobody
        raise TypeError(f"the tenant must be a str, not {type(tenant).__name__}")
    return CacheRequest(
        text=prompt,
        model=model,
        params=params,
        context=context,
        tenant=tenant,
        dialect=_DIALECT,
        controls=_controls(semantic, similarity_threshold, ttl_s, max_age_s, labels(tags)),
    )


def _controls(*given: Any) -> Controls:  # Any: the fields of Controls, in their order
    """Return the shared default where nothing was asked: making one costs as much as the look-up itself."""
    if given == _NOTHING_ASKED:
        return DEFAULT_CONTROLS
    controls = Controls(*given)
    numbers = (controls.similarity_threshold, controls.max_age_s, controls.ttl_s or 0.0)
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise TypeError("similarity_threshold, max_age_s and ttl_s must be numbers")
    return controls


_NOTHING_ASKED = astuple(DEFAULT_CONTROLS)


def _payload(answer: str) -> str:
    if not isinstance(answer, str):
        raise TypeError(f"an answer must be a str, not {type(answer).__name__}; store JSON for other values")
    try:
        return orjson.dumps({"v": _VERSION, "answer": answer}).decode()
    except TypeError:
        raise UnkeyableError("the answer is not valid Unicode") from None


def answer_of(found: Lookup | None) -> str | None:
    """Read an answer back; a payload of another version, or of somebody else, is a miss."""
    if not isinstance(found, Hit):
        return None
    try:
        kept = orjson.loads(found.payload)
    except ValueError:
        return None
    answer = kept.get("answer") if isinstance(kept, dict) and kept.get("v") == _VERSION else None
    return answer if isinstance(answer, str) else None


def _says(payload: str) -> str:
    """Return the answer as it is compared with others."""
    answer: str = orjson.loads(payload)["answer"]
    return answer


answers.register(_DIALECT, _says)
