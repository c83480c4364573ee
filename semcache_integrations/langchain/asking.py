"""What a caching model does at one call: ask the cache, else let the model answer once for all who ask the same.

The law: whatever the cache does, the model is asked just as it would be without one. Nothing is kept but a whole
answer, and a stream is whole when its source has come to its end, not when its reader has heard enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from typing import Any, Generic, TypeVar

from langchain_core.outputs import ChatGenerationChunk, Generation, GenerationChunk

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.hash_tier import HashKey
from semcache_integrations.langchain.answers import Answers
from semcache_integrations.shared_streams import SharedStreams
from semcache_integrations.single_flight import SingleFlight

R = TypeVar("R")
C = TypeVar("C", ChatGenerationChunk, GenerationChunk)


@dataclass(frozen=True, eq=False)
class Desk(Generic[R, C]):
    """What all models that share a cache and a way of replay have in common.

    Attributes:
        answers: The cache.
        replay: How a stored answer is cut.
    """

    answers: Answers
    replay: Replay
    _flights: SingleFlight[R] = field(default_factory=SingleFlight, repr=False)
    # Not one for both: a thread that waits for a task may be the one that the task is waiting for.
    _aflights: SingleFlight[R] = field(default_factory=SingleFlight, repr=False)
    _streams: SharedStreams[C] = field(default_factory=SharedStreams, repr=False)

    def asked(self, strings: Callable[[], tuple[str, str]]) -> CacheRequest | None:
        """Return the request behind LangChain's two strings, or None for one that has no key."""
        try:
            return self.answers.request(*strings())
        except Exception as error:  # noqa: BLE001 - a model's own code makes these strings; the user's call goes on
            self.answers.complain("look-up", error)
            return None

    def once(
        self,
        request: CacheRequest,
        revive: Callable[[Sequence[Generation]], R],
        ask: Callable[[], R],
    ) -> R:
        """Return the kept answer, or `ask()`; callers who ask the same meanwhile get what it has kept."""
        found = self.answers.find(request)
        if found is not None:
            return revive(found)
        key = self.answers.cache.identity(request)
        if key is None:
            return ask()
        took = False

        def turn() -> R:
            nonlocal took
            took = True
            late = self.answers.recall(request)
            return ask() if late is None else revive(late)

        answer = self._flights.do(key, turn)
        if took:
            return answer
        found = self.answers.find(request)
        return ask() if found is None else revive(found)

    async def aonce(
        self,
        request: CacheRequest,
        revive: Callable[[Sequence[Generation]], R],
        ask: Callable[[], Awaitable[R]],
    ) -> R:
        """Async twin of `once`."""
        found = await self.answers.afind(request)
        if found is not None:
            return revive(found)
        key = self.answers.cache.identity(request)
        if key is None:
            return await ask()
        took = False

        async def turn() -> R:
            nonlocal took
            took = True
            late = self.answers.recall(request)
            return await ask() if late is None else revive(late)

        answer = await self._aflights.ado(key, turn)
        if took:
            return answer
        found = await self.answers.afind(request)
        return await ask() if found is None else revive(found)

    def shared(self, key: HashKey | None, source: Callable[[], Iterator[C]]) -> Iterator[C]:
        """Yield the chunks of a stream that equal calls share."""
        return source() if key is None else self._streams.read(key, source)

    def ashared(self, key: HashKey | None, source: Callable[[], AsyncIterator[C]]) -> AsyncIterator[C]:
        """Async twin of `shared`."""
        return source() if key is None else self._streams.aread(key, source)


def accepted(hook: Any, run_manager: Any) -> dict[str, Any]:  # Any: LangChain's internals
    """Return the run manager as an argument, where a model's own code takes one."""
    function = getattr(hook, "__func__", None)
    takes = _takes_manager(function) if function else "run_manager" in signature(hook).parameters
    return {"run_manager": run_manager} if takes else {}


def wants_several(model: Any, arguments: Mapping[str, Any]) -> bool:  # Any: as above
    """Whether a call asks for several answers: what it streams is one of them, or all mixed up."""
    wanted = arguments.get("n", getattr(model, "n", None))
    return isinstance(wanted, int) and wanted > 1


@lru_cache(maxsize=256)
def _takes_manager(hook: Any) -> bool:  # Any: a function
    return "run_manager" in signature(hook).parameters
