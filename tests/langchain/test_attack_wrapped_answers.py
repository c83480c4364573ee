"""Attacks on the answers of wrapped models: what comes back must be what the model said, cache or not."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.langchain_calls import CountingChat
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_openai import ChatOpenAI

from semcache_integrations import ConfigurationError, SemanticCache
from semcache_integrations.langchain import (
    StreamReplayHandler,
    with_semantic_cache,
    without_semantic_cache,
)
from semcache_integrations.testing import FakeUpstream, HashingEmbedder, MemoryStore

LONG_S = 30  # nobody waits so long but for a deadlock
INVALID = {"name": "f", "args": '{"a": 1', "id": "c1", "error": None, "type": "invalid_tool_call"}
CALL = {"name": "f", "args": {"n": 2**70, "x": float("inf")}, "id": "c1", "type": "tool_call"}
ANSWERS = {
    "a call that cannot be read": AIMessage("", invalid_tool_calls=[INVALID]),
    "numbers beyond JSON": AIMessage("", tool_calls=[CALL]),
    "texts and blocks": AIMessage(["a", {"type": "text", "text": "b"}]),
    "somebody else's role": ChatMessage("a", role="critic"),
    "a name": AIMessage("a", name="me"),
}


def said(message):
    told = message.model_dump(exclude={"id", "type", "tool_call_chunks", "chunk_position"})
    told["response_metadata"].pop("semcache", None)
    return told


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_model_that_cannot_stream_streams_what_it_said(answer, kept):
    model = CountingChat(reply=answer)
    (plain,) = list(model.stream("q"))
    (cached,) = list(with_semantic_cache(model, kept).stream("q"))
    assert said(cached) == said(plain)
    (cached,) = [each async for each in with_semantic_cache(model, kept).astream("another question")]
    assert said(cached) == said(plain)


class Blocks(CountingChat):
    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self.calls += 1
        for text in ("one ", "two"):
            message = AIMessageChunk([{"type": "text", "text": text, "index": 0}])
            yield ChatGenerationChunk(message=message)


def test_a_reader_who_edits_a_block_edits_nobody_elses_and_not_what_is_kept(kept):
    model = with_semantic_cache(Blocks(), kept)
    one, other = model.stream("q"), model.stream("q")
    next(one).content[0]["text"] = "edited"
    assert "".join(each.text for each in other) == "one two"
    list(one)
    assert model.invoke("q").text == "one two"


class Partial(CountingChat):
    _generate = functools.partialmethod(CountingChat._generate)


def test_a_hook_that_is_no_plain_function_is_called(kept):
    assert with_semantic_cache(Partial(), kept).invoke("q").text == "answer 1"


class Tickets(InMemoryRateLimiter):
    def __init__(self):
        super().__init__(requests_per_second=1_000_000)
        self.given = 0

    def acquire(self, *, blocking=True):
        self.given += 1
        return True


def test_models_made_of_configurable_fields_wait_for_the_rate_limiter(kept):
    limiter = Tickets()
    model = with_semantic_cache(CountingChat(rate_limiter=limiter), kept)
    configurable = model.configurable_fields(setting=ConfigurableField(id="s"))
    for _ in range(2):
        configurable.invoke("q", config={"configurable": {"s": 1}})
    assert limiter.given == 1
    assert without_semantic_cache(model).rate_limiter is limiter


class Failing(BaseCallbackHandler):
    def on_llm_start(self, *_args, **_about):
        raise ValueError("a handler failed")

    on_chat_model_start = on_llm_start


class Listening(BaseCallbackHandler):
    def __init__(self):
        self.heard = []

    def on_chat_model_start(self, *_args, **_about):
        self.heard.append("start")


def test_a_handler_that_fails_takes_no_event_from_the_others(adapter):
    listening = Listening()
    handler = StreamReplayHandler(Failing(), listening)
    CountingChat().invoke("q", config={"callbacks": [handler]})
    assert listening.heard == ["start"]


def test_a_handler_that_is_to_stop_the_call_stops_it(adapter):
    failing = Failing()
    failing.raise_error = True
    with pytest.raises(ValueError, match="a handler failed"):
        CountingChat().invoke("q", config={"callbacks": [StreamReplayHandler(failing)]})


def test_an_async_handler_is_refused_instead_of_never_awaited():
    with pytest.raises(ConfigurationError, match="AsyncCallbackHandler"):
        StreamReplayHandler(AsyncCallbackHandler())


class Crowded(CountingChat):
    """Gives the only thread, which it needs as well, to somebody else who asks the same."""

    crowd: object = None

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await self.crowd()
        return await super()._agenerate(messages, stop, run_manager, **kwargs)


async def test_a_thread_that_asks_the_same_is_not_in_the_way_of_a_task():
    missed = [threading.Event(), threading.Event()]

    def hook(event):
        if event.kind == "miss":
            next(each for each in missed if not each.is_set()).set()

    async def crowd():
        followers.append(loop.run_in_executor(None, model.invoke, "q"))
        with ThreadPoolExecutor(1) as aside:
            await loop.run_in_executor(aside, missed[1].wait, LONG_S)

    followers, loop = [], asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    with SemanticCache(embedder=HashingEmbedder(), store=MemoryStore(), hooks=[hook]) as engine:
        model = with_semantic_cache(Crowded(crowd=crowd), engine)
        answer = await asyncio.wait_for(model.ainvoke("q"), LONG_S)
        assert {answer.text, (await followers[0]).text} <= {"answer 1", "answer 2"}


def test_an_invoke_finds_token_counts_though_the_stream_before_it_had_none(kept):
    with FakeUpstream() as apis:
        model = with_semantic_cache(ChatOpenAI(model="gpt-4o-mini", base_url=apis.url), kept)
        assert all(chunk.usage_metadata is None for chunk in model.stream("q"))
        assert model.invoke("q").usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        assert all(chunk.usage_metadata is None for chunk in model.stream("q"))
