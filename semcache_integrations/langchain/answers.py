"""LangChain's questions and answers, put to the engine: for the cache that LangChain asks, and for models that ask.

The law: nothing in here raises into the user's call. LangChain guards neither a look-up nor an update, and an update
comes after the answer has been paid for. Troubles are counted, and logged once each; what was asked is in no message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from langchain_core.outputs import Generation

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.answers import register
from semcache_integrations.core.models import CacheRequest, Hit, Lookup
from semcache_integrations.langchain import envelope
from semcache_integrations.langchain.envelope import HitUsage
from semcache_integrations.langchain.keys import EXACT, request_for
from semcache_integrations.langchain.prompts import CHAT_DIALECT, TEXT_DIALECT
from semcache_integrations.langchain.storable import calls_tools
from semcache_integrations.troubles import Troubles

log = logging.getLogger("semcache_integrations.langchain")

for _dialect in (CHAT_DIALECT, TEXT_DIALECT):
    register(_dialect, envelope.says)


@dataclass(slots=True, eq=False)
class Answers:
    """What one adapter keeps.

    Attributes:
        cache: The engine.
        tenant: Whose entries these are.
        semantic_with_tools: Whether questions may be reworded although tools are bound.
        hit_usage: What a hit's `usage_metadata` says.
        troubles: How many calls went on without the cache, by kind of trouble.
        latest: `llm_string` and dialect of who asked last: what `explain` assumes.
    """

    cache: SemanticCache
    tenant: str = ""
    semantic_with_tools: bool = False
    hit_usage: HitUsage = "original"
    troubles: Troubles = field(default_factory=partial(Troubles, log))
    latest: tuple[str, str] = ("", CHAT_DIALECT)

    def request(self, prompt: str, llm_string: str) -> CacheRequest:
        """Return what is asked.

        Raises:
            UnkeyableError: something in the strings has no stable form.
        """
        request = request_for(
            prompt, llm_string, tenant=self.tenant, semantic_with_tools=self.semantic_with_tools
        )
        self.latest = llm_string, request.dialect
        return request

    def asked(self, strings: Callable[[], tuple[str, str]], step: str = "look-up") -> CacheRequest | None:
        """Return the request behind the two strings, or None for a call that has no key.

        Args:
            strings: Makes them; a model's own code may have a part in it.
            step: What goes on without the cache if they have no key.
        """
        with self.troubles.going_on(step):
            return self.request(*strings())
        return None

    def find(self, request: CacheRequest | None) -> list[Generation] | None:
        """Return a fresh copy of the kept answer, or None; nothing is kept for a call without a key."""
        with self.troubles.going_on("look-up"):
            return None if request is None else self._revived(self.cache.lookup(request))
        return None

    async def afind(self, request: CacheRequest | None) -> list[Generation] | None:
        """Async twin of `find`."""
        with self.troubles.going_on("look-up"):
            return None if request is None else self._revived(await self.cache.alookup(request))
        return None

    def recall(self, request: CacheRequest | None) -> list[Generation] | None:
        """Return what has been kept since one's own look-up, as far as memory knows."""
        with self.troubles.going_on("look-up"):
            return None if request is None else self._revived(self.cache.recall(request))
        return None

    def keep(self, request: CacheRequest | None, answer: Sequence[Generation]) -> None:
        """Keep the answer, if it is complete and the call has a key."""
        with self.troubles.going_on("write"):
            order = self._order(request, answer)
            if order is not None:
                self.cache.store(*order)

    async def akeep(self, request: CacheRequest | None, answer: Sequence[Generation]) -> None:
        """Async twin of `keep`."""
        with self.troubles.going_on("write"):
            order = self._order(request, answer)
            if order is not None:
                await self.cache.astore(*order)

    def _revived(self, found: Lookup | None) -> list[Generation] | None:
        answer = envelope.unpack(found.payload) if found else None
        if answer is None or not isinstance(found, Hit):
            return None
        return answer.fresh(self._mark(found), self.hit_usage)

    def _mark(self, hit: Hit) -> Mapping[str, object]:
        return {
            "hit": True,
            "tier": hit.tier,
            "similarity": round(hit.similarity, 4),
            "entry_id": hit.entry.id,
            "age_s": round(self.cache.age_s(hit.entry), 3),
        }

    def _order(
        self, request: CacheRequest | None, answer: Sequence[Generation]
    ) -> tuple[CacheRequest, str] | None:
        if request is None:
            return None
        payload = envelope.pack(answer)
        if payload is None:
            self.troubles["not storable"] += 1
            return None
        return (replace(request, controls=EXACT) if calls_tools(answer) else request), payload
