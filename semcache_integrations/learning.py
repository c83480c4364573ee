"""LEARNING: what a cache finds out while it runs: answer groups, users' judgements, and when to be stricter.

The law: nobody waits for it. Comparing has a thread of its own, so that a slow judge holds up no write, and
what does not fit its queue is dropped, counted; whatever changes an entry is done on the writing thread, one
change after the other, each to what the store holds then.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import replace
from random import Random

from semcache_integrations.assembly import Backends
from semcache_integrations.backends.nothing import NoEmbedder
from semcache_integrations.comparers import ComparerLike, as_comparer
from semcache_integrations.config import CacheConfig
from semcache_integrations.context import bypass
from semcache_integrations.core import settling
from semcache_integrations.core.brake import Brake
from semcache_integrations.core.errors import BackendError, StoreError
from semcache_integrations.core.flow import Ask, Rules
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import CacheEntry, CacheRequest, Selector
from semcache_integrations.core.recalibration import UNMOVED
from semcache_integrations.core.settling import Amendment, Change, Lesson
from semcache_integrations.core.wilson import interval
from semcache_integrations.hash_tier import HashTier
from semcache_integrations.journal import Journal
from semcache_integrations.policies import target_of
from semcache_integrations.protocols import AnswerComparer, Embedder


class _Bypassing(AnswerComparer):
    """Lets the comparer's own LLM calls pass by the cache: stored, they would have to be compared as well."""

    def __init__(self, inner: AnswerComparer) -> None:
        self._inner = inner

    def same(self, request: CacheRequest, fresh: str, cached: str) -> bool:
        with bypass():
            return self._inner.same(request, fresh, cached)


def comparer_for(given: ComparerLike | None) -> Callable[[Embedder], AnswerComparer]:
    """Return what makes the comparer for an embedder.

    Raises:
        ConfigurationError: what was given cannot compare.
    """
    if given is not None:
        as_comparer(given, NoEmbedder())
    return lambda embedder: _Bypassing(as_comparer(given, embedder))


_BUDGET_S = 5.0  # for the store, in one settling or one change: nobody waits, but a dead store must not hold the queue
_ADMIN_S = 30.0  # for what people wait for


class Learning:
    """Learns for one cache.

    Args:
        config: Says how many hits are checked, and how many of them may be wrong.
        backends: Where entries are, the policy and the threads.
        keyring: Signs the entries.
        journal: Is told.
        memory: Forgets what was said to be wrong.
        clock: Seconds since the epoch.
        verifies: Whether there is a verifier.
        rng: Draws which hits are checked.

    Attributes:
        rules: What every flow of the cache needs to know now; labels and the brake change the policy in them.
    """

    def __init__(
        self,
        config: CacheConfig,
        backends: Backends,
        *,
        keyring: Keyring,
        journal: Journal,
        memory: HashTier,
        clock: Callable[[], float],
        verifies: bool,
        rng: Random | None,
    ) -> None:
        draws = rng or Random()  # noqa: S311 - samples which hits are checked, guards nothing; tests give a seed
        semantic, share = not config.hash_only, config.recheck_share
        self.rules = Rules(backends.policy, keyring, semantic, verifies, share, draws.random)
        self._policy = backends.policy
        self._backends = backends
        self._journal = journal
        self._memory = memory
        self._clock = clock
        self._brake = Brake(target_of(config))
        self._shift = UNMOVED
        self._learns = semantic and backends.policy.learns != "nothing"

    # -- from fresh answers ------------------------------------------------------------------------

    def settle_later(self, ask: Ask, entry: CacheEntry) -> None:
        """Queue an entry that was just written to be compared with its neighbours."""
        if not (self._learns and ask.request.controls.semantic):
            return
        try:
            self._backends.settles.submit(self._settle, ask, entry)
        except queue.Full:
            self._journal.unsettled()

    def _settle(self, ask: Ask, entry: CacheEntry) -> None:
        steps = settling.settle(ask, entry, self.rules, self._clock())
        try:
            lesson = self._backends.driver.run(steps, _BUDGET_S)
            if lesson is None:
                return
            for amendment in lesson.amendments:
                self._writing(self._amend, amendment).result(_ADMIN_S)
        except (BackendError, FutureTimeoutError, queue.Full):
            self._journal.unsettled()
            return
        self._take(lesson)

    def _take(self, lesson: Lesson) -> None:
        self._journal.settled(joined=lesson.joined)
        if lesson.label is not None:
            score, right = lesson.label
            self._shift = self._shift.learned(score, right=right)
            self._adjust()
        if lesson.right is None:
            return
        self._journal.checked(right=lesson.right)
        if self.rules.recheck_share:  # somebody asked for a brake
            self._check(right=lesson.right)

    def _adjust(self) -> None:
        policy = self._policy.adjusted(self._brake.step, self._shift)
        self.rules = replace(self.rules, policy=policy)

    def _check(self, *, right: bool) -> None:
        brake, labels, wrong = self._brake, self._brake.labels + 1, self._brake.wrong + (not right)
        change = brake.take(right=right)
        if change:
            self._adjust()
            self._memory.forget_rewordings()  # they were accepted under another policy
            low, high = interval(wrong, labels)
            self._journal.braked(
                f"{change} to step {brake.step}: {wrong} of {labels} checked hits were wrong, "
                f"{low:.1%}-{high:.1%} where {brake.target:.1%} are allowed"
            )

    # -- changes to what is stored -------------------------------------------------------------------

    def renew(self, entry: CacheEntry) -> None:
        """Write a renewed TTL, on the writing thread; one that cannot be written is renewed at the next access."""
        until = entry.expires_at
        renewal = Amendment(entry, lambda known: replace(known, expires_at=max(known.expires_at, until)))
        with suppress(BackendError):
            self._amend(renewal)

    def _amend(self, amendment: Amendment) -> bool:
        return self._backends.driver.run(settling.amend(amendment, self.rules.keyring), _BUDGET_S)

    def _writing(self, function: Callable[..., bool], *args: object) -> Future[bool]:
        """Run on the writing thread, where changes cannot cross; at once, if this is that thread.

        Raises:
            queue.Full: too many writes are waiting.
        """
        writes = self._backends.writes
        if not writes.is_mine():
            return writes.submit(function, *args)
        done: Future[bool] = Future()
        done.set_result(function(*args))
        return done

    # -- from users ------------------------------------------------------------------------------------

    def judge(self, entry_id: str, *, correct: bool, similarity: float | None = None) -> bool:
        """See `SemanticCache.feedback`."""
        waiting, remembered = self._judging(entry_id, correct=correct, similarity=similarity)
        try:
            found = waiting.result(_ADMIN_S)
        except FutureTimeoutError:
            raise StoreError(_TOO_SLOW) from None
        finally:
            self._forget(entry_id, correct=correct)  # a look-up that was under way may have brought it back
        return self._judged(entry_id, found=found or remembered, correct=correct)

    async def ajudge(self, entry_id: str, *, correct: bool, similarity: float | None = None) -> bool:
        """Async twin of `judge`."""
        waiting, remembered = self._judging(entry_id, correct=correct, similarity=similarity)
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(waiting), _ADMIN_S)
        except asyncio.TimeoutError:
            raise StoreError(_TOO_SLOW) from None
        finally:
            self._forget(entry_id, correct=correct)
        return self._judged(entry_id, found=found or remembered, correct=correct)

    def _judging(
        self, entry_id: str, *, correct: bool, similarity: float | None
    ) -> tuple[Future[bool], bool]:
        remembered = self._memory.entry(entry_id)
        forgotten = self._forget(entry_id, correct=correct)
        change = settling.quarantining(correct=correct, similarity=similarity)
        # Only a quarantine may rest on what memory knew: the store may know of another one.
        known = None if correct else remembered
        try:
            return self._writing(self._appraise, entry_id, change, known), forgotten
        except queue.Full:
            raise StoreError("the store has too many writes waiting to note a judgement now") from None

    def _forget(self, entry_id: str, *, correct: bool) -> bool:
        return not correct and self._memory.remove(Selector(ids=(entry_id,))) > 0

    def _appraise(self, entry_id: str, change: Change, remembered: CacheEntry | None) -> bool:
        steps = settling.appraise(entry_id, change, self.rules.keyring, remembered)
        return self._backends.driver.run(steps, _BUDGET_S)

    def _judged(self, entry_id: str, *, found: bool, correct: bool) -> bool:
        if found and not correct:
            self._journal.quarantined(entry_id)
        return found

    # -- seeing ----------------------------------------------------------------------------------------

    def counts(self) -> Mapping[str, int]:
        """Return the labels that the brake goes by and the step that it is at; nothing if it has neither."""
        brake = self._brake
        found = {"brake_labels": brake.labels, "brake_wrong": brake.wrong, "brake_step": brake.step}
        return found if brake.labels or brake.step else {}


_TOO_SLOW = f"the store noted no judgement within {_ADMIN_S:.3g} s"
