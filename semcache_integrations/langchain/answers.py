"""LangChain's questions and answers, put to the engine: for the cache that LangChain asks, and for models that ask.

The law: nothing in here raises into the user's call. LangChain guards neither a look-up nor an update, and an update
comes after the answer has been paid for. Troubles are counted, and logged once each; what was asked is in no message.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from langchain_core.outputs import Generation

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.answers import register
from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import CacheRequest, Hit, Lookup
from semcache_integrations.langchain import envelope
from semcache_integrations.langchain.envelope import HitUsage
from semcache_integrations.langchain.keys import EXACT, request_for
from semcache_integrations.langchain.prompts import CHAT_DIALECT, TEXT_DIALECT
from semcache_integrations.langchain.storable import calls_tools

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
    troubles: Counter[str] = field(default_factory=Counter)
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

    def find(self, request: CacheRequest) -> list[Generation] | None:
        """Return a fresh copy of the kept answer, or None."""
        try:
            return self._revived(self.cache.lookup(request))
        except Exception as error:  # noqa: BLE001 - see the law
            self.complain("look-up", error)
            return None

    async def afind(self, request: CacheRequest) -> list[Generation] | None:
        """Async twin of `find`."""
        try:
            return self._revived(await self.cache.alookup(request))
        except Exception as error:  # noqa: BLE001 - see the law
            self.complain("look-up", error)
            return None

    def recall(self, request: CacheRequest) -> list[Generation] | None:
        """Return what has been kept since one's own look-up, as far as memory knows."""
        try:
            return self._revived(self.cache.recall(request))
        except Exception as error:  # noqa: BLE001 - see the law
            self.complain("look-up", error)
            return None

    def keep(self, request: CacheRequest, answer: Sequence[Generation]) -> None:
        """Keep the answer, if it is complete."""
        try:
            order = self._order(request, answer)
            if order is not None:
                self.cache.store(*order)
        except Exception as error:  # noqa: BLE001 - see the law
            self.complain("write", error)

    async def akeep(self, request: CacheRequest, answer: Sequence[Generation]) -> None:
        """Async twin of `keep`."""
        try:
            order = self._order(request, answer)
            if order is not None:
                await self.cache.astore(*order)
        except Exception as error:  # noqa: BLE001 - see the law
            self.complain("write", error)

    def complain(self, step: str, error: Exception) -> None:
        """Count the trouble, and log its first time."""
        unkeyable = isinstance(error, UnkeyableError)
        kind = f"unkeyable: {error}" if unkeyable else f"{step} failed: {type(error).__name__}"
        self.troubles[kind] += 1
        if self.troubles[kind] == 1:
            level = logging.INFO if unkeyable else logging.WARNING
            log.log(level, "the call goes on without the cache: %s", kind)

    def _revived(self, found: Lookup) -> list[Generation] | None:
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

    def _order(self, request: CacheRequest, answer: Sequence[Generation]) -> tuple[CacheRequest, str] | None:
        payload = envelope.pack(answer)
        if payload is None:
            self.troubles["not storable"] += 1
            return None
        return (replace(request, controls=EXACT) if calls_tools(answer) else request), payload
