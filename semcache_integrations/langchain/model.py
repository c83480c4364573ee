"""`with_semantic_cache`: a chat model that asks the cache by itself, on every path, streams included.

The law: the model that comes back is of the class of the model that went in, with its state and its clients. The
cache sits below LangChain's run manager, in `_generate` and `_stream` and their async twins, so that LangChain itself
makes every callback, event and id of a replayed answer, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, ClassVar

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.rate_limiters import BaseRateLimiter

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.langchain.asking import Caching, Call, Desk, accepted
from semcache_integrations.langchain.chunks import chunks_of, in_one_piece, own_copy, sum_of, told
from semcache_integrations.langchain.envelope import metered
from semcache_integrations.langchain.identity import chat_model_string, prompt_of
from semcache_integrations.langchain.streams import whose
from semcache_integrations.pacing import apaced, paced

ChatDesk = Desk[ChatResult, ChatGenerationChunk]
Stop = list[str] | None


class CachingChat(Caching):
    """What a caching chat model does otherwise than its own class; a mixin."""

    semcache_desk: ClassVar[ChatDesk]

    # Native producers of protocol events would pass by the cache; LangChain makes the events of `_stream` then.
    _stream_chat_model_events: ClassVar[None] = None
    _astream_chat_model_events: ClassVar[None] = None

    def _generate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> ChatResult:  # Any: as LangChain types them
        def ask() -> ChatResult:
            self._await_turn()
            inner = self._inner()
            about = accepted(inner._generate, run_manager)
            result: ChatResult = inner._generate(messages, stop=stop, **about, **arguments)
            self.semcache_desk.answers.keep(request, _told(result))
            return result

        with whose(self):
            request = self._asked(messages, stop, arguments)
            return self.semcache_desk.once(request, _result, ask)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> ChatResult:  # Any: as above
        """Async twin of `_generate`."""

        async def ask() -> ChatResult:
            await self._aawait_turn()
            inner = self._inner()
            about = accepted(inner._agenerate, run_manager)
            result: ChatResult = await inner._agenerate(messages, stop=stop, **about, **arguments)
            await self.semcache_desk.answers.akeep(request, _told(result))
            return result

        with whose(self):
            request = self._asked(messages, stop, arguments)
            return await self.semcache_desk.aonce(request, _result, ask)

    def _stream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> Iterator[ChatGenerationChunk]:  # Any: as above
        desk = self.semcache_desk
        with whose(self):
            request = self._asked(messages, stop, arguments)
            found = desk.answers.find(request)
        if found is not None:
            yield from paced(_replayed(found, desk.replay), desk.replay.delay_s)
            return
        with whose(self):
            call = desk.call(self, request, messages, {"stop": stop, **_stated(run_manager), **arguments})
        for chunk in desk.shared(call, self._upstream):
            yield own_copy(chunk)

    async def _astream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **arguments: Any
    ) -> AsyncIterator[ChatGenerationChunk]:  # Any: as above
        """Async twin of `_stream`."""
        desk = self.semcache_desk
        with whose(self):
            request = self._asked(messages, stop, arguments)
            found = await desk.answers.afind(request)
        if found is not None:
            async for chunk in apaced(_replayed(found, desk.replay), desk.replay.delay_s):
                yield chunk
            return
        with whose(self):
            call = desk.call(self, request, messages, {"stop": stop, **_stated(run_manager), **arguments})
        async for chunk in desk.ashared(call, self._aupstream):
            yield own_copy(chunk)

    def _upstream(self, call: Call) -> Iterator[ChatGenerationChunk]:
        """Yield what the model streams, and keep it once it is whole."""
        desk = self.semcache_desk
        late = desk.late(call)
        if late is not None:
            yield from _replayed(late, desk.replay)
            return
        self._await_turn()
        heard: list[ChatGenerationChunk] = []
        for chunk in _streamed(self._inner(), call.asked, call.arguments):
            heard.append(chunk)
            yield chunk
        desk.keep(call, sum_of(heard))

    async def _aupstream(self, call: Call) -> AsyncIterator[ChatGenerationChunk]:
        """Async twin of `_upstream`."""
        desk = self.semcache_desk
        late = desk.late(call)
        if late is not None:
            for chunk in _replayed(late, desk.replay):
                yield chunk
            return
        await self._aawait_turn()
        heard: list[ChatGenerationChunk] = []
        async for chunk in _astreamed(self._inner(), call.asked, call.arguments):
            heard.append(chunk)
            yield chunk
        await desk.akeep(call, sum_of(heard))

    def _asked(
        self, messages: list[BaseMessage], stop: Stop, arguments: dict[str, Any]
    ) -> CacheRequest | None:
        model = self._inner()
        return self.semcache_desk.answers.asked(
            lambda: (prompt_of(messages), chat_model_string(model, stop, arguments))
        )

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

    def acquire(self, *, blocking: bool = True) -> bool:
        """Let it pass, at once in any case."""
        del blocking
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Async twin of `acquire`."""
        del blocking
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


def _stated(run_manager: Any) -> dict[str, Any]:  # Any: as above
    """Return the run manager as an argument if there is one: LangChain passes none to most streams."""
    return {} if run_manager is None else {"run_manager": run_manager}


def _without_manager(hook: Any, arguments: dict[str, Any]) -> dict[str, Any]:  # Any: as above
    rest = {name: value for name, value in arguments.items() if name != "run_manager"}
    return {**rest, **accepted(hook, arguments.get("run_manager"))}
