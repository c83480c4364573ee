"""What a caching model does at one call: ask the cache, else let the model answer once for all who ask the same.

The law: whatever the cache does, the model is asked just as it would be without one. Nothing is kept but a whole
answer, and a stream is whole when its source has come to its end, not when its reader has heard enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from inspect import signature
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from langchain_core.outputs import ChatGenerationChunk, Generation, GenerationChunk

from semcache_integrations.context import Holding, Surroundings, surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.hash_tier import HashKey
from semcache_integrations.langchain.answers import Answers
from semcache_integrations.langchain.cache import LangChainSemanticCache
from semcache_integrations.langchain.identity import as_its_base
from semcache_integrations.shared_streams import SharedStreams
from semcache_integrations.single_flight import SingleFlight

R = TypeVar("R")
C = TypeVar("C", ChatGenerationChunk, GenerationChunk)
T = TypeVar("T")


class Call(NamedTuple):
    """One streaming call that the cache could not answer.

    Attributes:
        asked: The messages or the prompt.
        arguments: All else that the model is given.
        key: What equal calls share; None for a call of its own.
        kept_as: The request that its answer is kept for; None if it is not to be kept.
        said: What held around the call.
    """

    asked: Any
    arguments: dict[str, Any]
    key: HashKey | None
    kept_as: CacheRequest | None
    said: Surroundings


class Caching:
    """What caching models of both kinds have in common; a mixin.

    Attributes:
        semcache_base: The model's own class.
        semcache_desk: The cache, and how answers are replayed.
        semcache_adapter: The cache as its user knows it.
    """

    semcache_base: ClassVar[type[Any]]  # Any: of chat or of text models
    semcache_desk: ClassVar[Desk[Any, Any]]  # Any: as above
    semcache_adapter: ClassVar[LangChainSemanticCache]

    def _inner(self) -> Any:  # Any: as above
        """Return this model as one of its own class: what that calls of itself is not cached a second time."""
        return as_its_base(self, self.semcache_base)


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

    def once(
        self,
        request: CacheRequest | None,
        revive: Callable[[Sequence[Generation]], R],
        ask: Callable[[], R],
    ) -> R:
        """Return the kept answer, or `ask()`; callers who ask the same meanwhile get what it has kept."""
        found = self.answers.find(request)
        if found is not None:
            return revive(found)
        key = self._key(request)
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
        request: CacheRequest | None,
        revive: Callable[[Sequence[Generation]], R],
        ask: Callable[[], Awaitable[R]],
    ) -> R:
        """Async twin of `once`."""
        found = await self.answers.afind(request)
        if found is not None:
            return revive(found)
        key = self._key(request)
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

    def call(
        self, model: Caching, request: CacheRequest | None, asked: Any, arguments: dict[str, Any]
    ) -> Call:  # Any: messages or a prompt, and what LangChain passes on
        """Return what is to be known of a call of `model` that goes upstream."""
        kept_as = None if _wants_several(model, arguments) else request
        return Call(asked, arguments, self._key(request), kept_as, surroundings.get())

    def shared(self, call: Call, source: Callable[[Call], Iterator[C]]) -> Iterator[C]:
        """Yield the chunks of a stream that equal calls share."""
        return source(call) if call.key is None else self._streams.read(call.key, partial(source, call))

    def ashared(self, call: Call, source: Callable[[Call], AsyncIterator[C]]) -> AsyncIterator[C]:
        """Async twin of `shared`."""
        return source(call) if call.key is None else self._streams.aread(call.key, partial(source, call))

    def late(self, call: Call) -> list[Generation] | None:
        """Return what has been kept of an equal call since this one was looked up."""
        with Holding(call.said):
            return self.answers.recall(call.kept_as)

    def keep(self, call: Call, answer: Sequence[Generation]) -> None:
        """Keep what a stream has come to, for whom it was asked, wherever it was read to its end."""
        with Holding(call.said):
            self.answers.keep(call.kept_as, answer)

    async def akeep(self, call: Call, answer: Sequence[Generation]) -> None:
        """Async twin of `keep`."""
        with Holding(call.said):
            await self.answers.akeep(call.kept_as, answer)

    def _key(self, request: CacheRequest | None) -> HashKey | None:
        return None if request is None else self.answers.cache.identity(request)


def accepted(hook: Any, run_manager: Any) -> dict[str, Any]:  # Any: LangChain's internals
    """Return the run manager as an argument, where a model's own code takes one."""
    function = getattr(hook, "__func__", None)
    takes = _takes_manager(function) if function else "run_manager" in signature(hook).parameters
    return {"run_manager": run_manager} if takes else {}


@lru_cache(maxsize=256)
def _takes_manager(hook: Any) -> bool:  # Any: a function
    return "run_manager" in signature(hook).parameters


def _wants_several(model: object, arguments: Mapping[str, Any]) -> bool:  # Any: as above
    """Whether a call asks for several answers: what it streams is one of them, or all mixed up."""
    wanted = arguments.get("n", getattr(model, "n", None))
    return isinstance(wanted, int) and wanted > 1
