"""One call: answered from the cache, or by the upstream while what it says is kept; whoever carries the bytes.

The law: nothing of the cache raises into the call, and what comes from upstream passes as it is, piece by piece.
Equal calls of one sender that miss together are one call upstream: all read the same answer, live, also where it is
an error. Those of different senders never wait for one another, so nobody gets another one's refusal; and an
answer that says that it is for one caller alone is for nobody who waited for it.

The twins differ by `await` alone.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from functools import partial

from semcache_integrations import labels
from semcache_integrations.cache import SemanticCache
from semcache_integrations.context import Holding, Surroundings, surroundings
from semcache_integrations.core.models import CacheRequest, Hit, Lookup, Miss
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.answers import Served, present
from semcache_integrations.http.calls import Asked, Call, Head, Part, fields
from semcache_integrations.http.happenings import HIT
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.recording import Recorder, is_personal
from semcache_integrations.pacing import apaced, paced
from semcache_integrations.shared_streams import SharedStreams
from semcache_integrations.troubles import Troubles

_OK, _GATEWAY_TIMEOUT = 200, 504
_NOT_ASKED = Miss("bypassed")


@dataclass(slots=True)
class _Order:
    """A call on its way upstream.

    Attributes:
        asked: What is asked.
        said: What the surrounding code says of it.
        reason: Why it was not answered from the cache.
        nearest: Cosine of the nearest question.
        leads: Whether it is this call, of several equal ones, that went upstream.
    """

    asked: Asked
    said: Surroundings
    reason: str
    nearest: float | None
    leads: bool = field(default=False)

    def is_anothers(self, part: Part) -> bool:
        """Whether the part begins an answer that an equal call got, and that is for it alone."""
        if self.leads or isinstance(part, bytes) or HIT in part.extensions:
            return False
        return is_personal(self.asked, part)

    @property
    def kept_as(self) -> CacheRequest:
        """The request that the answer is kept under: without a vector, where the embedder has just failed."""
        request = self.asked.request
        if self.reason != "embedder_error":
            return request
        return replace(request, controls=replace(request.controls, semantic=False))

    def labelled(self, part: Part) -> Part:
        """Return the part; a head says what the cache did, as that of a kept answer does already."""
        if isinstance(part, bytes) or HIT in part.extensions:
            return part
        if self.leads:
            return part.labelled(labels.other("miss", self.reason, self.nearest))
        return part.labelled(labels.hit(tier="flight", similarity=1.0))


class Exchange:
    """Answers calls.

    Args:
        cache: Where answers are kept.
        reader: Says what a call asks, None for one that the cache has nothing to do with.
        replay: How kept answers are streamed.
    """

    def __init__(
        self, cache: SemanticCache, reader: Callable[[Call], Asked | None], replay: Replay | None = None
    ) -> None:
        self.cache = cache
        self.troubles = Troubles(logging.getLogger("semcache_integrations.http"))
        self._reader = reader
        self._replay = replay or Replay()
        self._streams: SharedStreams[Part] = SharedStreams(asks_anew=False)
        self._astreams: SharedStreams[Part] = SharedStreams(asks_anew=False)

    def read(self, call: Call) -> Asked | None:
        """Return what a call asks, or None if the cache has nothing to do with it.

        Raises:
            ProblemError: it is wrong in a way that its sender should hear of.
        """
        problem = None
        with self.troubles.going_on("reading"):
            try:
                asked = self._reader(call)
            except ProblemError as error:
                problem = error
            else:
                return None if asked is None or asked.wants_nothing else asked
        if problem is not None:
            raise problem
        return None

    def answer(
        self, asked: Asked, upstream: Callable[[], Generator[Part, None, None]]
    ) -> Generator[Part, None, None]:
        """Yield the answer: its head, then the pieces of its body.

        Args:
            asked: What `read` said.
            upstream: Asks it, and yields its answer in the same way.

        Raises:
            ProblemError: the call wants only what is cached, and nothing is.
        """
        found: Lookup = self.cache.lookup(asked.request) if asked.wishes.looks else _NOT_ASKED
        kept = self._kept(asked, found)
        if kept is not None:
            yield kept[0]
            yield from paced(pieces_of(kept[1]), kept[1].pause_s)
            return
        yield from self._shared(asked, found, upstream)

    async def aanswer(
        self, asked: Asked, upstream: Callable[[], AsyncGenerator[Part, None]]
    ) -> AsyncGenerator[Part, None]:
        """Async twin of `answer`."""
        found: Lookup = await self.cache.alookup(asked.request) if asked.wishes.looks else _NOT_ASKED
        kept = self._kept(asked, found)
        if kept is not None:
            yield kept[0]
            async for piece in apaced(pieces_of(kept[1]), kept[1].pause_s):
                yield piece
            return
        async with aclosing(self._ashared(asked, found, upstream)) as parts:
            async for part in parts:
                yield part

    def _shared(
        self, asked: Asked, found: Lookup, upstream: Callable[[], Generator[Part, None, None]]
    ) -> Generator[Part, None, None]:
        """Yield the upstream's answer, together with all who ask the same."""
        order = self._order(asked, found)
        key, source = self._flight(asked), partial(self._fetch, order, upstream)
        with closing(source() if key is None else self._streams.read(key, source)) as parts:
            for part in parts:
                if order.is_anothers(part):
                    break
                yield order.labelled(part)
            else:
                return
        with closing(source()) as parts:
            yield from map(order.labelled, parts)

    async def _ashared(
        self, asked: Asked, found: Lookup, upstream: Callable[[], AsyncGenerator[Part, None]]
    ) -> AsyncGenerator[Part, None]:
        """Async twin of `_shared`."""
        order = self._order(asked, found)
        key, source = self._flight(asked), partial(self._afetch, order, upstream)
        async with aclosing(source() if key is None else self._astreams.aread(key, source)) as parts:
            async for part in parts:
                if order.is_anothers(part):
                    break
                yield order.labelled(part)
            else:
                return
        async with aclosing(source()) as parts:
            async for part in parts:
                yield order.labelled(part)

    def _fetch(
        self, order: _Order, upstream: Callable[[], Generator[Part, None, None]]
    ) -> Generator[Part, None, None]:
        """Yield what the upstream says, and keep it as soon as it is whole."""
        order.leads = True
        late = self._late(order)
        if late is not None:
            yield late[0]
            yield from pieces_of(late[1])
            return
        recorder = None
        with closing(upstream()) as parts:
            for part in parts:
                if isinstance(part, Head):
                    recorder = Recorder(order.asked, part)
                elif recorder is not None:
                    self._keep(order, recorder.takes(part))
                yield part
        self._keep(order, None if recorder is None else recorder.ends())

    async def _afetch(
        self, order: _Order, upstream: Callable[[], AsyncGenerator[Part, None]]
    ) -> AsyncGenerator[Part, None]:
        """Async twin of `_fetch`."""
        order.leads = True
        late = self._late(order)
        if late is not None:
            yield late[0]
            for piece in pieces_of(late[1]):
                yield piece
            return
        recorder = None
        async with aclosing(upstream()) as parts:
            async for part in parts:
                if isinstance(part, Head):
                    recorder = Recorder(order.asked, part)
                elif recorder is not None:
                    await self._akeep(order, recorder.takes(part))
                yield part
        await self._akeep(order, None if recorder is None else recorder.ends())

    def _keep(self, order: _Order, payload: str | None) -> None:
        if payload is not None:
            with self.troubles.going_on("write"), Holding(order.said):
                self.cache.store(order.kept_as, payload)

    async def _akeep(self, order: _Order, payload: str | None) -> None:
        if payload is not None:
            with self.troubles.going_on("write"), Holding(order.said):
                await self.cache.astore(order.kept_as, payload)

    def _order(self, asked: Asked, found: Lookup) -> _Order:
        if asked.wishes.only_if_cached:
            said = "the cache has no answer, and the call wants no other one (cache-control: only-if-cached)"
            raise ProblemError(_GATEWAY_TIMEOUT, said, final=True)
        return _Order(asked, surroundings.get(), self._reason(found), found.similarity)

    def _reason(self, found: Lookup) -> str:
        """Return why it is a miss; a hit is one that cannot be served to this call."""
        return "unusable" if isinstance(found, Hit) else found.reason

    def _late(self, order: _Order) -> tuple[Head, Served] | None:
        """Return what an equal call has stored since this one was looked up."""
        if not order.asked.wishes.looks:
            return None
        with Holding(order.said):
            return self._kept(order.asked, self.cache.recall(order.asked.request))

    def _kept(self, asked: Asked, found: Lookup | None) -> tuple[Head, Served] | None:
        """Return the answer that was found, as the call wants it."""
        with self.troubles.going_on("replay"):
            if not isinstance(found, Hit):
                return None
            served = present(found.payload, asked, self._replay)
            if served is None:
                return None
            said = labels.of_hit(found, self.cache.age_s(found.entry))
            return Head(_OK, fields({**_described(served), **said}), {HIT: found}), served
        return None

    def _flight(self, asked: Asked) -> Hashable | None:
        """Return what equal calls share, or None for one that goes alone: who wants it fresh, waits for nobody."""
        identity = self.cache.identity(asked.request) if asked.wishes.looks else None
        if identity is None:
            return None
        way = (asked.stream, asked.usage, asked.carriage)
        return identity, asked.credential, way, asked.wishes, asked.request.controls


def _described(served: Served) -> dict[str, str]:
    length = {"content-length": str(len(served.body))} if isinstance(served.body, bytes) else {}
    return {**served.headers, "content-type": served.content_type, **length}


def pieces_of(served: Served) -> Generator[bytes, None, None]:
    """Yield the pieces of a kept answer's body."""
    if isinstance(served.body, bytes):
        yield served.body
    else:
        yield from served.body
