"""`with_semantic_cache`: a chat model that asks the cache by itself, on every path, streams included.

The law: the model that comes back is of the class of the model that went in, with its state and its clients. The
cache sits below LangChain's run manager, in `_generate` and `_stream` and their async twins, so that LangChain itself
makes every callback, event and id of a replayed answer, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.rate_limiters import BaseRateLimiter

from semcache_integrations.context import Surroundings, as_it_was, surroundings
from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.hash_tier import HashKey
from semcache_integrations.langchain.asking import Desk, accepted, wants_several
from semcache_integrations.langchain.chunks import chunks_of, in_one_piece, own_copy, sum_of, told
from semcache_integrations.langchain.envelope import metered
from semcache_integrations.langchain.identity import as_its_base, chat_model_string, prompt_of

ChatDesk = Desk[ChatResult, ChatGenerationChunk]
Stop = list[str] | None


class _Call(NamedTuple):
    """One call that the cache could not answer.

    Attributes:
        key: What equal calls share; None for a call of its own.
        kept_as: The request that its answer is kept for; None if it is not to be kept.
        said: What held around the call.
        messages: What is asked.
        arguments: All else that the model is given.
    """

    key: HashKey | None
    kept_as: CacheRequest | None
    said: Surroundings
    messages: list[BaseMessage]
    arguments: dict[str, Any]


class CachingChat:
    """What a caching chat model does otherwise than its own class; a mixin.

    Attributes:
        semcache_base: The model's own class.
        semcache_desk: The cache, and how answers are replayed.
    """

    semcache_base: ClassVar[type[BaseChatModel]]
    semcache_desk: ClassVar[ChatDesk]

    # Native producers of protocol events would pass by the cache; LangChain makes the events of `_stream` then.
    _stream_chat_model_events: ClassVar[None] = None
    _astream_chat_model_events: ClassVar[None] = None

    def _generate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> ChatResult:  # Any: as LangChain types them
        request = self._asked(messages, stop, arguments)

        def ask() -> ChatResult:
            self._await_turn()
            inner = self._inner()
            about = accepted(inner._generate, run_manager)
            result: ChatResult = inner._generate(messages, stop=stop, **about, **arguments)
            if request is not None:
                self.semcache_desk.answers.keep(request, _told(result))
            return result

        return ask() if request is None else self.semcache_desk.once(request, _result, ask)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> ChatResult:  # Any: as above
        """Async twin of `_generate`."""
        request = self._asked(messages, stop, arguments)

        async def ask() -> ChatResult:
            await self._aawait_turn()
            inner = self._inner()
            about = accepted(inner._agenerate, run_manager)
            result: ChatResult = await inner._agenerate(messages, stop=stop, **about, **arguments)
            if request is not None:
                await self.semcache_desk.answers.akeep(request, _told(result))
            return result

        return await ask() if request is None else await self.semcache_desk.aonce(request, _result, ask)

    def _stream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> Iterator[ChatGenerationChunk]:  # Any: as above
        desk, request = self.semcache_desk, self._asked(messages, stop, arguments)
        found = None if request is None else desk.answers.find(request)
        if found is None:
            call = self._call(request, messages, stop, run_manager, arguments)
            for chunk in desk.shared(call.key, partial(self._upstream, call)):
                yield own_copy(chunk)
            return
        for at, chunk in enumerate(_replayed(found, desk.replay)):
            if at and desk.replay.delay_s:
                time.sleep(desk.replay.delay_s)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> AsyncIterator[ChatGenerationChunk]:  # Any: as above
        """Async twin of `_stream`."""
        desk, request = self.semcache_desk, self._asked(messages, stop, arguments)
        found = None if request is None else await desk.answers.afind(request)
        if found is None:
            call = self._call(request, messages, stop, run_manager, arguments)
            async for chunk in desk.ashared(call.key, partial(self._aupstream, call)):
                yield own_copy(chunk)
            return
        for at, chunk in enumerate(_replayed(found, desk.replay)):
            if at and desk.replay.delay_s:
                await asyncio.sleep(desk.replay.delay_s)
            yield chunk

    def _call(
        self,
        request: CacheRequest | None,
        messages: list[BaseMessage],
        stop: Stop,
        run_manager: Any,
        arguments: dict[str, Any],
    ) -> _Call:  # Any: as above
        about = {} if run_manager is None else {"run_manager": run_manager}
        return _Call(
            key=None if request is None else self.semcache_desk.answers.cache.identity(request),
            kept_as=None if wants_several(self, arguments) else request,
            said=surroundings.get(),
            messages=messages,
            arguments={"stop": stop, **about, **arguments},
        )

    def _upstream(self, call: _Call) -> Iterator[ChatGenerationChunk]:
        """Yield what the model streams, and keep it once it is whole, wherever it is read to its end."""
        answers = self.semcache_desk.answers
        late = None if call.kept_as is None else answers.recall(call.kept_as)
        if late is not None:
            yield from _replayed(late, self.semcache_desk.replay)
            return
        self._await_turn()
        heard: list[ChatGenerationChunk] = []
        for chunk in _streamed(self._inner(), call.messages, call.arguments):
            heard.append(chunk)
            yield chunk
        if call.kept_as is not None:
            with as_it_was(call.said):
                answers.keep(call.kept_as, sum_of(heard))

    async def _aupstream(self, call: _Call) -> AsyncIterator[ChatGenerationChunk]:
        """Async twin of `_upstream`."""
        answers = self.semcache_desk.answers
        late = None if call.kept_as is None else answers.recall(call.kept_as)
        if late is not None:
            for chunk in _replayed(late, self.semcache_desk.replay):
                yield chunk
            return
        await self._aawait_turn()
        heard: list[ChatGenerationChunk] = []
        async for chunk in _astreamed(self._inner(), call.messages, call.arguments):
            heard.append(chunk)
            yield chunk
        if call.kept_as is not None:
            with as_it_was(call.said):
                await answers.akeep(call.kept_as, sum_of(heard))

    def _asked(
        self, messages: list[BaseMessage], stop: Stop, arguments: dict[str, Any]
    ) -> CacheRequest | None:
        model = self._inner()
        return self.semcache_desk.asked(
            lambda: (prompt_of(messages), chat_model_string(model, stop, arguments))
        )

    def _inner(self) -> Any:
        """Return this model as one of its own class: what that calls of itself is not cached a second time."""
        return as_its_base(self, self.semcache_base)

    def _await_turn(self) -> None:
        limiter = vars(self).get("rate_limiter")
        if isinstance(limiter, Postponed):
            limiter.meant.acquire(blocking=True)

    async def _aawait_turn(self) -> None:
        limiter = vars(self).get("rate_limiter")
        if isinstance(limiter, Postponed):
            await limiter.meant.aacquire(blocking=True)


class Postponed(BaseRateLimiter):
    """Lets LangChain go on, which waits before it streams: a hit must not, and a miss waits for who is `meant`."""

    def __init__(self, meant: BaseRateLimiter) -> None:
        self.meant = meant

    def acquire(self, *, blocking: bool = True) -> bool:  # noqa: ARG002 - LangChain's signature
        """Let it pass."""
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:  # noqa: ARG002 - as above
        """Let it pass."""
        return True


def _result(answer: Sequence[Generation]) -> ChatResult:
    return ChatResult(generations=[_unnamed(one) for one in metered(list(answer)) or ()])


def _unnamed(answer: Generation) -> ChatGeneration:
    """Return an answer without an id: LangChain gives it that of its run."""
    if not isinstance(answer, ChatGeneration):
        return ChatGeneration(message=AIMessage(answer.text), generation_info=answer.generation_info)
    answer.message.id = None
    return answer


def _replayed(answer: Sequence[Generation], replay: Replay) -> Iterator[ChatGenerationChunk]:
    return chunks_of(_unnamed(answer[0]), replay)


def _told(result: ChatResult) -> list[ChatGeneration]:
    """Return the answers as LangChain hands them on after the call: they say what was told about them."""
    about = result.llm_output if len(result.generations) == 1 and result.llm_output else {}
    return [told(one.message, one.generation_info, about) for one in result.generations]


def _streamed(
    model: Any, messages: list[BaseMessage], arguments: dict[str, Any]
) -> Iterator[ChatGenerationChunk]:  # Any: LangChain's internals
    """Yield what a model streams; the whole answer of one that cannot."""
    if type(model)._stream is not BaseChatModel._stream:
        yield from model._stream(messages, **arguments)
        return
    result = model._generate(messages, **_without_manager(model._generate, arguments))
    yield in_one_piece(_told(result)[0])


async def _astreamed(
    model: Any, messages: list[BaseMessage], arguments: dict[str, Any]
) -> AsyncIterator[ChatGenerationChunk]:  # Any: as above
    """Async twin of `_streamed`."""
    if (type(model)._stream, type(model)._astream) != (BaseChatModel._stream, BaseChatModel._astream):
        async for chunk in model._astream(messages, **arguments):
            yield chunk
        return
    result = await model._agenerate(messages, **_without_manager(model._agenerate, arguments))
    yield in_one_piece(_told(result)[0])


def _without_manager(hook: Any, arguments: dict[str, Any]) -> dict[str, Any]:  # Any: as above
    rest = {name: value for name, value in arguments.items() if name != "run_manager"}
    return {**rest, **accepted(hook, arguments.get("run_manager"))}
