"""`SemanticCache`: the cache as its users hold it: the engine, cache-aside, administration and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any

from semcache_integrations import context
from semcache_integrations.aside import CacheAside
from semcache_integrations.closing import Closing
from semcache_integrations.config import CacheConfig
from semcache_integrations.core import flow
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.models import NEVER, CacheEntry, CacheRequest, Selector, Verdict
from semcache_integrations.explanation import Explanation
from semcache_integrations.stats import CacheStats

_MISSPELT = 0.8  # likeness of two words, 0-1; "path" is not "path_prefix"


def shared_or_new(
    cache: SemanticCache | None,
    settings: Mapping[str, Any],  # Any: checked there
    adapter: Callable[..., object],
) -> SemanticCache:
    """Return the ready cache that an adapter was given, or a new one with these settings.

    Raises:
        ConfigurationError: it is no cache, it was given with settings, the settings cannot work, or one is an argument
            of the adapter, misspelt.
    """
    for name in settings.keys() - CacheConfig.model_fields.keys():
        meant = get_close_matches(name, signature(adapter).parameters, 1, _MISSPELT)
        if meant:
            raise ConfigurationError(f"{name}: no such argument; is {meant[0]} meant?")
    if cache is None:
        return SemanticCache(**settings)
    if not isinstance(cache, SemanticCache):
        raise ConfigurationError(
            f"cache= takes a ready SemanticCache, not {type(cache).__name__}; settings go in as keywords, such as path="
        )
    if settings:
        raise ConfigurationError(f"a ready cache has its settings: drop cache=, or {', '.join(settings)}")
    return cache


class SemanticCache(CacheAside, Closing):
    """A semantic cache for LLM calls.

    ```python
    from semcache_integrations import SemanticCache
    from semcache_integrations.testing import HashingEmbedder

    with SemanticCache(embedder=HashingEmbedder(), similarity_threshold=0.7) as cache:
        cache.put("What is the capital of France?", "Paris")
        assert cache.get("What's the capital of France?") == "Paris"
        assert cache.get("How tall is Mont Blanc?") is None
    ```

    Args:
        config: A ready configuration; the keyword settings override its fields.
        embedder: An `Embedder`, a LangChain `Embeddings`, a callable or a model's name, instead of the default.
        store: A `Store`, instead of the one that `path=` or `url=` asks for.
        verifier: Has the last word on every semantic candidate.
        comparer: Says, off the caller's path, whether two answers say the same: an `AnswerComparer`, or a
            function of the two texts, instead of `SaysTheSame`.
        ttl_policy: Says, off the caller's path, how long a stored answer stays true.
        hooks: Are told every event; they must be quick.
        clock: Seconds since the epoch, for tests.
        rng: Draws which hits are asked anew, for tests.
        **settings: Fields of `CacheConfig`.

    Raises:
        ConfigurationError: a setting, the model, the path or the server cannot work; the message says
            what to do.
    """

    scope = staticmethod(context.scope)
    bypass = staticmethod(context.bypass)
    refresh = staticmethod(context.refresh)

    # -- seeing -----------------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """Return counts, hit rates and latency percentiles since the cache was made."""
        kept = self._hash
        return self._journal.recorder.snapshot(
            entries=len(kept),
            size_bytes=kept.size_bytes,
            evicted=kept.evicted,
            learned=self._learning.counts(),
        )

    def reset_stats(self) -> None:
        """Start counting from zero."""
        self._journal.recorder.reset()
        self._hash.evicted = 0

    def count(self) -> int:
        """Return how many entries the store keeps, whosever they are.

        Raises:
            StoreError: the store could not say.
        """
        return self._backends.store.count()

    async def acount(self) -> int:
        """Async twin of `count`."""
        return await self._backends.store.acount()

    def age_s(self, entry: CacheEntry) -> float:
        """Seconds since an entry was stored, by the clock that dated it; never negative."""
        return max(0.0, self._clock() - entry.created_at)

    def entry_id(self, request: CacheRequest) -> str:
        """Return the id of the entry that keeps, or would keep, an answer to just this request here.

        Raises:
            UnkeyableError: the request has no canonical form.
        """
        scope, text = self._key(request)[0]
        return self._keyring.entry_id(self._keyring.namespace(scope), text)

    def explain(self, request: CacheRequest) -> Explanation:
        """Show what a look-up sees: every candidate with its similarity and the verdict on it.

        Changes nothing and counts nothing.

        Raises:
            BackendError: the embedder or the store failed.
            UnkeyableError: the request has no canonical form.
        """
        ask, now = self._ask(request, *self._key(request)), self._clock()
        entry, verdicts = self._driver.run(flow.explain(ask, self._learning.rules, now))
        return self._explanation(ask, entry, verdicts, now)

    async def aexplain(self, request: CacheRequest) -> Explanation:
        """Async twin of `explain`."""
        ask, now = self._ask(request, *self._key(request)), self._clock()
        entry, verdicts = await self._driver.arun(flow.explain(ask, self._learning.rules, now))
        return self._explanation(ask, entry, verdicts, now)

    def _explanation(
        self, ask: flow.Ask, entry: CacheEntry | None, verdicts: Sequence[Verdict], now: float
    ) -> Explanation:
        policy = self._learning.rules.policy
        notes = tuple(filter(None, (policy.rule.demand(), self._lifetimes.note(ask.request))))
        return Explanation(ask, entry, tuple(verdicts), policy.threshold(ask.request.controls), now, notes)

    # -- judging ----------------------------------------------------------------------------------

    def feedback(self, entry_id: str, *, correct: bool, similarity: float | None = None) -> bool:
        """Say whether an answer was right; a wrong one is served to nobody from now on.

        It is gone from memory before this returns, and stays away after a restart, until `correct=True` is
        said of it or a fresh answer to its question is stored. Similar questions whose answers were found
        to be the same become less likely to be served, too.

        Args:
            entry_id: The id that every hit carries.
            correct: Whether the answer was right.
            similarity: The hit's similarity, if it was served for another question than its own:
                `policy="verified"` learns from it how similar is enough.

        Returns:
            Whether there is such an entry.

        Raises:
            StoreError: the store could not note it; memory has forgotten a wrong answer all the same.
        """
        return self._learning.judge(entry_id, correct=correct, similarity=similarity)

    async def afeedback(self, entry_id: str, *, correct: bool, similarity: float | None = None) -> bool:
        """Async twin of `feedback`."""
        return await self._learning.ajudge(entry_id, correct=correct, similarity=similarity)

    # -- deleting ---------------------------------------------------------------------------------

    def invalidate(
        self,
        entry_id: str | None = None,
        *,
        namespace: str | None = None,
        tag: str | None = None,
        model: str | None = None,
        tenant: str | None = None,
        older_than_s: float | None = None,
    ) -> int:
        """Delete the entries that meet every condition given; return how many there were.

        Args:
            entry_id: One entry, by the id that every hit carries.
            namespace: One namespace, by its id.
            tag: A label that `scope(tags=…)` or the adapter put on them.
            model: The LLM that answered.
            tenant: Whose they are.
            older_than_s: Stored more than so many seconds ago.

        Raises:
            ConfigurationError: no condition is given, or an empty one; `clear()` deletes everything.
            StoreError: the store could not do it; memory has forgotten the entries all the same.
        """
        return self._delete(self._selector(entry_id, namespace, tag, model, tenant, older_than_s))

    async def ainvalidate(
        self,
        entry_id: str | None = None,
        *,
        namespace: str | None = None,
        tag: str | None = None,
        model: str | None = None,
        tenant: str | None = None,
        older_than_s: float | None = None,
    ) -> int:
        """Async twin of `invalidate`."""
        return await self._adelete(self._selector(entry_id, namespace, tag, model, tenant, older_than_s))

    def clear(self) -> None:
        """Delete every entry of this embedder, whosever it is.

        Raises:
            StoreError: the store could not do it; memory is empty all the same.
        """
        self._delete(Selector())

    async def aclear(self) -> None:
        """Async twin of `clear`."""
        await self._adelete(Selector())

    def _delete(self, selector: Selector) -> int:
        forgotten = self._forget(selector)
        try:
            return max(forgotten, self._backends.delete(selector))
        finally:
            self._forget(selector)  # a look-up that was under way may have brought it back

    async def _adelete(self, selector: Selector) -> int:
        forgotten = self._forget(selector)
        try:
            return max(forgotten, await self._backends.adelete(selector))
        finally:
            self._forget(selector)

    def _selector(
        self,
        entry_id: str | None,
        namespace: str | None,
        tag: str | None,
        model: str | None,
        tenant: str | None,
        older_than_s: float | None,
    ) -> Selector:
        if all(given is None for given in (entry_id, namespace, tag, model, tenant, older_than_s)):
            raise ConfigurationError(
                "invalidate() needs a condition: entry_id, namespace, tag, model, tenant or older_than_s; "
                "clear() deletes everything"
            )
        if "" in (entry_id, namespace, tag, model, tenant):
            raise ConfigurationError("an empty condition would select everything; clear() deletes everything")
        return Selector(
            ids=() if entry_id is None else (entry_id,),
            namespace=namespace or "",
            tag=tag or "",
            model=model or "",
            tenant=tenant or "",
            created_before=NEVER if older_than_s is None else self._clock() - older_than_s,
        )

    # -- ending -----------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Finish the pending writes and make them durable; return whether all of them could be finished.

        Raises:
            StoreError: the store could not do it.
        """
        return self._backends.flush()

    def close(self) -> None:
        """Finish the pending writes and free what the cache holds; closing twice is fine."""
        self._finalizer()
        self._hash.clear()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await asyncio.to_thread(self.close)
