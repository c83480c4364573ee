"""`LangChainSemanticCache`: LangChain's `BaseCache` on the engine, and nothing that decides.

The law: nothing that goes wrong in here reaches the user's call; it is a miss, logged by its type alone
(never with prompt or answer), and counted. The sync and async halves differ by `await` alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, HumanMessage

from semcache_integrations import context
from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.models import CacheRequest, Hit, Lookup
from semcache_integrations.explanation import Explanation
from semcache_integrations.langchain import answers, envelope
from semcache_integrations.langchain.keys import CHAT, EXACT_ONLY, request_of
from semcache_integrations.stats import CacheStats

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("semcache_integrations.langchain")


class LangChainSemanticCache(BaseCache):
    """A semantic cache for every LangChain model.

    ```python
    from langchain_core.globals import set_llm_cache
    from semcache_integrations.langchain import LangChainSemanticCache

    set_llm_cache(LangChainSemanticCache())  # or ChatOpenAI(cache=LangChainSemanticCache())
    ```

    `invoke`, `ainvoke`, `batch`, `abatch` and `generate` read and write it; LangChain never asks a cache in
    `stream()`. A hit says so in `response_metadata["semcache"]`. LangChain hides from every cache which API
    key is used: let those who must not share answers call within `scope(tenant=…)`. It also shows a pydantic
    class given as `response_format` by its name only; such calls are not cached, while a JSON schema is keyed.

    Args:
        cache: An engine to share; without one, one is made of `settings` and closed by `close()`.
        semantic_with_tools: Serve similar questions although tools are bound; the same question always is.
        hit_usage: What a hit's `usage_metadata` says: the tokens of the `original` call, or `zero`.
        tenant: Whose entries these are.
        **settings: Arguments of `SemanticCache`: `path`, `url`, `similarity_threshold`, `ttl_s`, `embedder`…

    Raises:
        ConfigurationError: a setting cannot work; the message says what to do.
    """

    scope = staticmethod(context.scope)
    bypass = staticmethod(context.bypass)
    refresh = staticmethod(context.refresh)

    def __init__(
        self,
        cache: SemanticCache | None = None,
        *,
        semantic_with_tools: bool = False,
        hit_usage: Literal["original", "zero"] = "original",
        tenant: str = "",
        **settings: Any,  # SemanticCache checks them
    ) -> None:
        if cache is not None and settings:
            raise ConfigurationError(f"give cache= or settings, not both: {', '.join(sorted(settings))}")
        if hit_usage not in ("original", "zero"):
            raise ConfigurationError(f"hit_usage is 'original' or 'zero', not {hit_usage!r}")
        self.cache = SemanticCache(**settings) if cache is None else cache
        self.failures = 0
        self._owned = cache is None
        self._usage = envelope.NO_USAGE if hit_usage == "zero" else None
        self._semantic_with_tools = semantic_with_tools
        self._tenant = tenant
        self._latest = ("", CHAT)  # who asked last, and in which dialect: what `explain` assumes

    def __bool__(self) -> bool:
        return True  # some LangChain versions ask `if llm_cache:`

    # -- BaseCache --------------------------------------------------------------------------------

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the stored answer to this prompt or to one that means the same, else None. Never raises."""
        try:
            return self._revived(self.cache.lookup(self._asked(prompt, llm_string)))
        except Exception as error:  # noqa: BLE001 - the border: the user's call goes on, uncached
            self._failed("look-up", error)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Async twin of `lookup`."""
        try:
            return self._revived(await self.cache.alookup(self._asked(prompt, llm_string)))
        except Exception as error:  # noqa: BLE001 - the border: the user's call goes on, uncached
            self._failed("look-up", error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store a complete answer. Never raises."""
        try:
            if answers.storable(return_val):
                self.cache.store(*self._entry(prompt, llm_string, return_val))
        except Exception as error:  # noqa: BLE001 - the border: the answer is paid for and must reach the user
            self._failed("store", error)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Async twin of `update`."""
        try:
            if answers.storable(return_val):
                await self.cache.astore(*self._entry(prompt, llm_string, return_val))
        except Exception as error:  # noqa: BLE001 - the border: the answer is paid for and must reach the user
            self._failed("store", error)

    def clear(self, **kwargs: Any) -> None:  # noqa: ARG002 - BaseCache's signature
        """Delete every entry of this embedder, whosever it is; LangChain's arguments select nothing here.

        Raises:
            StoreError: the store could not do it; memory is empty all the same.
        """
        self.cache.clear()

    async def aclear(self, **kwargs: Any) -> None:  # noqa: ARG002 - BaseCache's signature
        """Async twin of `clear`."""
        await self.cache.aclear()

    def _request(self, prompt: str, llm_string: str) -> CacheRequest:
        return request_of(
            prompt, llm_string, tenant=self._tenant, semantic_with_tools=self._semantic_with_tools
        )

    def _asked(self, prompt: str, llm_string: str) -> CacheRequest:
        request = self._request(prompt, llm_string)
        self._latest = (llm_string, request.dialect)
        return request

    def _entry(self, prompt: str, llm_string: str, generations: RETURN_VAL_TYPE) -> tuple[CacheRequest, str]:
        request = self._asked(prompt, llm_string)
        if answers.calls_tools(generations):
            request = replace(request, controls=EXACT_ONLY)
        return request, envelope.dump(generations)

    def _revived(self, found: Lookup) -> RETURN_VAL_TYPE | None:
        """Return a hit as LangChain wants it: a list, and never an empty one."""
        if not isinstance(found, Hit):
            return None
        return envelope.revive(found.payload, self._mark(found), self._usage)

    def _mark(self, hit: Hit) -> Mapping[str, object]:
        now = self.cache._clock()  # noqa: SLF001 - the engine's clock is the one that dated the entry
        return {
            "hit": True,
            "tier": hit.tier,
            "similarity": round(hit.similarity, 4),
            "entry_id": hit.entry.id,
            "age_s": round(max(0.0, now - hit.entry.created_at), 3),
        }

    def _failed(self, what: str, error: Exception) -> None:
        self.failures += 1
        log.warning("a cache %s failed and was skipped: %s", what, type(error).__name__)

    # -- seeing, deleting, ending -----------------------------------------------------------------

    def stats(self) -> CacheStats:
        """Return counts, hit rates and latency percentiles of the engine."""
        return self.cache.stats()

    def explain(self, prompt: str | Sequence[BaseMessage], *, llm_string: str | None = None) -> Explanation:
        """Show what a look-up would see: every candidate with its similarity and the verdict on it.

        Args:
            prompt: Messages, or the text of one human message (of a completion model's prompt).
            llm_string: Which model is asked, as LangChain says it; None means the one that asked last.

        Raises:
            BackendError: the embedder or the store failed.
            UnkeyableError: the request has no canonical form.
        """
        about, dialect = (llm_string, CHAT) if llm_string is not None else self._latest
        if not isinstance(prompt, str):
            prompt = dumps(list(prompt))
        elif dialect == CHAT:
            prompt = dumps([HumanMessage(prompt)])
        return self.cache.explain(self._request(prompt, about))

    def invalidate(
        self, entry_id: str | None = None, **conditions: Any
    ) -> int:  # Any: SemanticCache checks them
        """Delete the entries that meet every condition; return how many. See `SemanticCache.invalidate`."""
        return self.cache.invalidate(entry_id, **conditions)

    async def ainvalidate(self, entry_id: str | None = None, **conditions: Any) -> int:
        """Async twin of `invalidate`."""
        return await self.cache.ainvalidate(entry_id, **conditions)

    def close(self) -> None:
        """Close the engine if it is ours; a shared one stays open. Closing twice is fine."""
        if self._owned:
            self.cache.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        if self._owned:
            await self.cache.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
