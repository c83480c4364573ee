"""`LangChainSemanticCache`: what LangChain calls on its cache, put to the engine.

The law: nothing in here raises into the user's call. LangChain guards neither the look-up nor the update,
and the update comes after the answer has been paid for. The async methods are native: no thread hop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import Generation

from semcache_integrations import context
from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.closing import Closing
from semcache_integrations.core import answers
from semcache_integrations.core.errors import ConfigurationError, UnkeyableError
from semcache_integrations.core.models import CacheRequest, Hit, Lookup
from semcache_integrations.explanation import Explanation
from semcache_integrations.langchain import envelope
from semcache_integrations.langchain.envelope import HitUsage
from semcache_integrations.langchain.keys import EXACT, request_for
from semcache_integrations.langchain.prompts import CHAT_DIALECT, TEXT_DIALECT
from semcache_integrations.langchain.storable import calls_tools
from semcache_integrations.stats import CacheStats

log = logging.getLogger("semcache_integrations.langchain")

answers.register(CHAT_DIALECT, envelope.text_of)
answers.register(TEXT_DIALECT, envelope.text_of)


class LangChainSemanticCache(BaseCache, Closing):
    """A semantic cache for every `invoke`, `batch` and `generate` of a LangChain application.

    ```python
    from langchain_core.globals import set_llm_cache
    from semcache_integrations.langchain import LangChainSemanticCache

    set_llm_cache(LangChainSemanticCache())
    ```

    A hit is a message of its own: it has a new id, new tool-call ids, all three token counts, and
    `response_metadata["semcache"]` with `hit`, `tier`, `similarity`, `entry_id` and `age_s`.

    LangChain never asks a cache when it streams, and leaves the arguments of a call to a text model, and
    what was changed on a chat model after its first call, out of the key. No cache can mend that.

    Args:
        cache: The engine, to share with other adapters; without one, `settings` make it.
        semantic_with_tools: Let questions be reworded although tools are bound to the model.
        hit_usage: What a hit's `usage_metadata` says: the `original` tokens, or `zero`.
        tenant: Whose entries these are.
        **settings: Those of `SemanticCache`.

    Attributes:
        cache: The engine.
        troubles: How many calls went on without the cache, by kind of trouble.

    Raises:
        ConfigurationError: the settings cannot work.
    """

    scope = staticmethod(context.scope)
    bypass = staticmethod(context.bypass)
    refresh = staticmethod(context.refresh)

    def __init__(
        self,
        cache: SemanticCache | None = None,
        *,
        semantic_with_tools: bool = False,
        hit_usage: HitUsage = "original",
        tenant: str = "",
        **settings: Any,  # SemanticCache checks them
    ) -> None:
        if hit_usage not in ("original", "zero"):
            raise ConfigurationError("hit_usage is either 'original' or 'zero'")
        self.cache = shared_or_new(cache, settings)
        self.troubles: Counter[str] = Counter()
        self._owns_cache = cache is None
        self._semantic_with_tools = semantic_with_tools
        self._hit_usage: HitUsage = hit_usage
        self._tenant = context.tenant_name(tenant)
        self._latest = ("", CHAT_DIALECT)  # who asked last, and in which dialect: what `explain` assumes

    # -- what LangChain calls ---------------------------------------------------------------------

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return a fresh copy of the kept answer, or None."""
        try:
            return self._revived(self.cache.lookup(self._request(prompt, llm_string)))
        except Exception as error:  # noqa: BLE001 - LangChain does not guard this call, and the user's must go on
            self._complain("look-up", error)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Async twin of `lookup`."""
        try:
            return self._revived(await self.cache.alookup(self._request(prompt, llm_string)))
        except Exception as error:  # noqa: BLE001 - as in lookup
            self._complain("look-up", error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Keep the answer, if it is complete."""
        try:
            order = self._order(prompt, llm_string, return_val)
            if order is not None:
                self.cache.store(*order)
        except Exception as error:  # noqa: BLE001 - as in lookup; the answer has been paid for
            self._complain("write", error)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Async twin of `update`."""
        try:
            order = self._order(prompt, llm_string, return_val)
            if order is not None:
                await self.cache.astore(*order)
        except Exception as error:  # noqa: BLE001 - as in update
            self._complain("write", error)

    def clear(self, **_kwargs: Any) -> None:
        """Delete the entries of the tenant that is asking; all entries, if there are no tenants.

        Raises:
            StoreError: the store could not do it; memory has forgotten them all the same.
        """
        tenant = self._asking()
        if tenant:
            self.cache.invalidate(tenant=tenant)
        else:
            self.cache.clear()

    async def aclear(self, **_kwargs: Any) -> None:
        """Async twin of `clear`."""
        tenant = self._asking()
        if tenant:
            await self.cache.ainvalidate(tenant=tenant)
        else:
            await self.cache.aclear()

    def _request(self, prompt: str, llm_string: str) -> CacheRequest:
        request = request_for(
            prompt, llm_string, tenant=self._tenant, semantic_with_tools=self._semantic_with_tools
        )
        self._latest = (llm_string, request.dialect)
        return request

    def _revived(self, found: Lookup) -> list[Generation] | None:
        answer = envelope.unpack(found.payload) if found else None
        if answer is None or not isinstance(found, Hit):
            return None
        return answer.fresh(self._mark(found), self._hit_usage)

    def _mark(self, hit: Hit) -> Mapping[str, object]:
        return {
            "hit": True,
            "tier": hit.tier,
            "similarity": round(hit.similarity, 4),
            "entry_id": hit.entry.id,
            "age_s": round(self.cache.age_s(hit.entry), 3),
        }

    def _order(
        self, prompt: str, llm_string: str, answer: Sequence[Generation]
    ) -> tuple[CacheRequest, str] | None:
        payload = envelope.pack(answer)
        if payload is None:
            self.troubles["not storable"] += 1
            return None
        request = self._request(prompt, llm_string)
        return (replace(request, controls=EXACT) if calls_tools(answer) else request), payload

    def _asking(self) -> str:
        said = context.surroundings.get().tenant
        return "/".join(part for part in (self._tenant or self.cache.config.tenant, said) if part)

    def _complain(self, step: str, error: Exception) -> None:
        """Count the trouble, and log its first time; what was asked is in no message."""
        unkeyable = isinstance(error, UnkeyableError)
        kind = f"unkeyable: {error}" if unkeyable else f"{step} failed: {type(error).__name__}"
        self.troubles[kind] += 1
        if self.troubles[kind] == 1:
            log.log(
                logging.INFO if unkeyable else logging.WARNING, "the call goes on without the cache: %s", kind
            )

    # -- the engine -------------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """See `SemanticCache.stats`."""
        return self.cache.stats()

    def invalidate(
        self, entry_id: str | None = None, **conditions: Any
    ) -> int:  # Any: SemanticCache checks them
        """See `SemanticCache.invalidate`; `entry_id` is in every hit's `response_metadata["semcache"]`."""
        return self.cache.invalidate(entry_id, **conditions)

    async def ainvalidate(self, entry_id: str | None = None, **conditions: Any) -> int:  # Any: as above
        """Async twin of `invalidate`."""
        return await self.cache.ainvalidate(entry_id, **conditions)

    def explain(self, prompt: str | Sequence[BaseMessage], llm_string: str | None = None) -> Explanation:
        """Show what a look-up would see: every candidate with its similarity and the verdict on it.

        Args:
            prompt: Messages, or the text of one human message (for a text model: its prompt).
            llm_string: Which model is asked, as LangChain says it; None means the one that asked last.

        Raises:
            BackendError: the embedder or the store failed.
            UnkeyableError: the request has no canonical form.
        """
        about, dialect = (llm_string, CHAT_DIALECT) if llm_string is not None else self._latest
        if not isinstance(prompt, str):
            prompt = dumps(list(prompt))
        elif dialect == CHAT_DIALECT and not prompt.startswith("[{"):
            prompt = dumps([HumanMessage(prompt)])
        return self.cache.explain(self._request(prompt, about))

    def close(self) -> None:
        """Close the engine if it was made here, else make its writes durable."""
        if self._owns_cache:
            self.cache.close()
        else:
            self.cache.flush()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        if self._owns_cache:
            await self.cache.aclose()
        else:
            await asyncio.to_thread(self.cache.flush)

    def __bool__(self) -> bool:
        return True  # older langchain-core asks `if llm_cache:`

    def __deepcopy__(self, memo: dict[int, object]) -> LangChainSemanticCache:
        return self  # copies of a model share its cache
