"""`LangChainSemanticCache`: what LangChain calls on its cache, put to the engine.

The law: nothing in here raises into the user's call. The async methods are native: no thread hop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import HumanMessage, convert_to_messages
from langchain_core.outputs import Generation
from langchain_core.prompt_values import PromptValue

from semcache_integrations import context
from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.closing import Closing
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.explanation import Explanation
from semcache_integrations.langchain.answers import Answers
from semcache_integrations.langchain.envelope import HitUsage, metered
from semcache_integrations.langchain.identity import prompt_of
from semcache_integrations.langchain.prompts import CHAT_DIALECT
from semcache_integrations.stats import CacheStats


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
        answers: What is kept, and how; shared with the models that ask by themselves.
        caching_classes: Those of these models (see `with_semantic_cache`).

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
        whose = context.tenant_name(tenant)
        self.cache = shared_or_new(cache, settings, type(self))
        self.answers = Answers(self.cache, whose, semantic_with_tools, hit_usage)
        self.caching_classes: dict[Hashable, type] = {}
        self._owns_cache = cache is None

    # -- what LangChain calls ---------------------------------------------------------------------

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return a fresh copy of the kept answer, or None."""
        return metered(self.answers.find(self.answers.asked(lambda: (prompt, llm_string))))

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Async twin of `lookup`."""
        return metered(await self.answers.afind(self.answers.asked(lambda: (prompt, llm_string))))

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Keep the answer, if it is complete."""
        self.answers.keep(self.answers.asked(lambda: (prompt, llm_string), "write"), return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Async twin of `update`."""
        await self.answers.akeep(self.answers.asked(lambda: (prompt, llm_string), "write"), return_val)

    @property
    def troubles(self) -> Counter[str]:
        """How many calls went on without the cache, by kind of trouble."""
        return self.answers.troubles

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

    def _asking(self) -> str:
        said = context.surroundings.get().tenant
        return "/".join(part for part in (self.answers.tenant or self.cache.config.tenant, said) if part)

    # -- the engine -------------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """Return the counts and latencies so far; a table in a notebook and for `rich.print`."""
        return self.cache.stats()

    def invalidate(
        self, entry_id: str | None = None, **conditions: Any
    ) -> int:  # Any: SemanticCache checks them
        """Delete the entries that meet every condition given; return how many there were.

        Args:
            entry_id: One entry; the id is in every hit's `response_metadata["semcache"]`.
            **conditions: `tag`, `model`, `tenant`, `older_than_s`, `namespace`: see `SemanticCache.invalidate`.
        """
        return self.cache.invalidate(entry_id, **conditions)

    async def ainvalidate(self, entry_id: str | None = None, **conditions: Any) -> int:  # Any: as above
        """Async twin of `invalidate`."""
        return await self.cache.ainvalidate(entry_id, **conditions)

    def explain(self, prompt: LanguageModelInput, llm_string: str | None = None) -> Explanation:
        """Show what a look-up would see: every candidate with its similarity and the verdict on it.

        It is a table in a notebook and for `rich.print`.

        Args:
            prompt: What `model.invoke` takes: messages, or the text of one human message (for a text model: its
                prompt).
            llm_string: Which model is asked, as LangChain says it; None means the one that asked last.

        Raises:
            ConfigurationError: no model has asked yet.
            BackendError: the embedder or the store failed.
            UnkeyableError: the request has no canonical form.
        """
        about, dialect = (llm_string, CHAT_DIALECT) if llm_string is not None else self.answers.latest
        if not about and llm_string is None:
            raise ConfigurationError(
                "no model has asked this cache yet: call one first, or give its llm_string"
            )
        if not isinstance(prompt, str):
            messages = (
                prompt.to_messages() if isinstance(prompt, PromptValue) else convert_to_messages(prompt)
            )
            prompt = prompt_of(messages)
        elif dialect == CHAT_DIALECT and not prompt.startswith("[{"):
            prompt = prompt_of([HumanMessage(prompt)])
        return self.cache.explain(self.answers.request(prompt, about))

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
