"""Answers past their freshness: served while a new one is fetched, or where none can be had. RFC 5861's two rules.

The law: what is stale says so (`x-cache-status: stale`), and is served only by a rule that somebody has switched on. A
refusal of the caller's own making (4xx) is never papered over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.models import Hit, Lookup
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.answers import Served
from semcache_integrations.http.calls import Asked, Call, Head, Part
from semcache_integrations.http.exchange import Exchange, pieces_of
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.pacing import apaced

_TOO_MANY, _SERVER_ERROR = 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """When answers are stale, and may be served all the same.

    Attributes:
        fresh_s: Seconds for which an answer is fresh; None for as long as the cache keeps it.
        while_revalidate_s: Seconds after that for which it is served at once, while a new one is fetched.
        if_error_s: Seconds after that for which it is served where the upstream fails.
    """

    fresh_s: float | None = None
    while_revalidate_s: float = 0.0
    if_error_s: float = 0.0

    def __post_init__(self) -> None:
        windows = (self.while_revalidate_s, self.if_error_s)
        if not all(seconds >= 0 for seconds in (*windows, self.fresh_s or 0.0)):
            raise ConfigurationError("seconds of freshness and staleness are at least 0")
        if self.fresh_s is None and any(windows):
            raise ConfigurationError("nothing is ever stale without fresh_s: give the seconds of freshness")


class StaleExchange(Exchange):
    """Answers calls, also with what is stale.

    Args:
        cache: Where answers are kept: for longer than they are fresh.
        reader: As for `Exchange`.
        replay: As for `Exchange`.
        staleness: When answers are stale.
    """

    def __init__(
        self,
        cache: SemanticCache,
        reader: Callable[[Call], Asked | None],
        replay: Replay | None = None,
        *,
        staleness: Staleness,
    ) -> None:
        super().__init__(cache, reader, replay)
        self._staleness = staleness
        self._revalidating: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references

    async def _ashared(
        self, asked: Asked, found: Lookup, upstream: Callable[[], AsyncGenerator[Part, None]]
    ) -> AsyncGenerator[Part, None]:
        """Yield the upstream's answer, or a stale one by the rules."""
        stale, over_s = self._stale(asked, found)
        fresh = super()._ashared(asked, found, upstream)
        if stale is None:
            served = fresh
        elif over_s <= self._staleness.while_revalidate_s:
            self._revalidate(fresh)
            served = _parts(stale)
        elif over_s <= self._staleness.if_error_s:
            served = _or_else(fresh, stale)
        else:
            served = fresh
        async with aclosing(served) as parts:
            async for part in parts:
                yield part

    def _kept(self, asked: Asked, found: Lookup | None) -> tuple[Head, Served] | None:
        return None if self._over_s(found) > 0 else super()._kept(asked, found)

    def _reason(self, found: Lookup) -> str:
        return "expired" if self._over_s(found) > 0 else super()._reason(found)

    def _stale(self, asked: Asked, found: Lookup) -> tuple[tuple[Head, Served] | None, float]:
        """Return the answer if it is there and stale, and since how many seconds it is."""
        over_s = self._over_s(found)
        kept = super()._kept(asked, found) if over_s > 0 else None
        if kept is None:
            return None, 0.0
        said = {
            name.decode(): value.decode() for name, value in kept[0].headers if name.startswith(b"x-cache-")
        }
        return (kept[0].labelled({**said, "x-cache-status": "stale"}), kept[1]), over_s

    def _over_s(self, found: Lookup | None) -> float:
        """Return for how many seconds an answer has not been fresh; 0 for one that is, or is none."""
        fresh_s = self._staleness.fresh_s
        if fresh_s is None or not isinstance(found, Hit):
            return 0.0
        return max(0.0, self.cache.age_s(found.entry) - fresh_s)

    def _revalidate(self, fresh: AsyncGenerator[Part, None]) -> None:
        """Fetch a new answer off the caller's path; what goes wrong is the next caller's business."""
        task = asyncio.create_task(self._read_through(fresh))
        self._revalidating.add(task)
        task.add_done_callback(self._revalidating.discard)

    async def _read_through(self, fresh: AsyncGenerator[Part, None]) -> None:
        with self.troubles.going_on("revalidation"):
            async for _part in fresh:
                pass


async def _or_else(
    fresh: AsyncGenerator[Part, None], stale: tuple[Head, Served]
) -> AsyncGenerator[Part, None]:
    """Yield the fresh answer, or the stale one where the upstream fails before it has said anything."""
    async with aclosing(fresh) as parts:
        try:
            head = await anext(parts)
            fails = isinstance(head, Head) and (head.status == _TOO_MANY or head.status >= _SERVER_ERROR)
        except ProblemError as problem:
            if problem.status < _SERVER_ERROR:
                raise
            fails = True
        if not fails:
            yield head
            async for part in parts:
                yield part
            return
    async for part in _parts(stale):
        yield part


async def _parts(kept: tuple[Head, Served]) -> AsyncGenerator[Part, None]:
    yield kept[0]
    async for piece in apaced(pieces_of(kept[1]), kept[1].pause_s):
        yield piece
