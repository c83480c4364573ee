"""What is stored of a wrapped model's stream, and how it is replayed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from doubles.langchain_calls import CountingChat
from doubles.langchain_scripted import LONG_S, WORDS, Scripted, chunk, heard, text
from langchain_core.rate_limiters import InMemoryRateLimiter

from semcache_integrations.langchain import LangChainSemanticCache, ReplayConfig, with_semantic_cache


def test_chunks_of_a_miss_come_as_they_are_sent(scripted, script):
    stream = scripted.stream("q")
    for at, word in enumerate(WORDS, start=1):
        assert next(stream).text == word
        assert script.sent == at
    assert text(stream) == ""
    assert scripted.invoke("q").text == "".join(WORDS)
    assert script.calls == 1


async def test_async_chunks_of_a_miss_come_as_they_are_sent(scripted, script):
    stream = scripted.astream("q")
    for at, word in enumerate(WORDS, start=1):
        assert (await anext(stream)).text == word
        assert script.sent == at
    assert [each.text async for each in stream if each.text] == []
    assert await heard(scripted) == "".join(WORDS)
    assert script.calls == 1


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_stream_that_is_broken_off_is_not_stored(scripted, script, taken):
    stream = scripted.stream("q")
    for _ in range(taken):
        next(stream)
    stream.close()
    assert text(scripted.stream("q")) == "".join(WORDS)
    assert script.calls == 2


@pytest.mark.parametrize("taken", [1, 2, 3])
async def test_an_async_stream_that_is_closed_is_not_stored(scripted, script, taken):
    stream = scripted.astream("q")
    for _ in range(taken):
        await anext(stream)
    await stream.aclose()
    assert await heard(scripted) == "".join(WORDS)
    assert script.calls == 2


async def test_a_stream_whose_task_is_cancelled_is_not_stored(scripted, script):
    script.gate.clear()
    first = asyncio.Event()

    async def read():
        async for _ in scripted.astream("q"):
            first.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(first.wait(), LONG_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    script.gate.set()
    assert await heard(scripted) == "".join(WORDS)
    assert script.calls == 2


async def test_a_stream_that_failed_is_not_stored_and_its_error_is_the_models_own(scripted, script):
    script.failing = (1, 2)
    with pytest.raises(ValueError, match="the provider failed"):
        list(scripted.stream("q"))
    with pytest.raises(ValueError, match="the provider failed"):
        await heard(scripted)
    assert await heard(scripted) == "".join(WORDS)
    assert script.calls == 3


def test_an_answer_that_was_cut_short_is_not_stored(cache):
    class Cut(CountingChat):
        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            self.calls += 1
            yield chunk("half an ans", finish_reason="length")

    model = with_semantic_cache(Cut(), LangChainSemanticCache(cache))
    assert text(model.stream("q")) == text(model.stream("q")) == "half an ans"
    assert model.calls == 2


def test_a_hit_does_not_wait_for_the_rate_limiter_and_a_miss_does(cache):
    limiter = InMemoryRateLimiter(requests_per_second=1e-6, max_bucket_size=1)
    model = with_semantic_cache(CountingChat(rate_limiter=limiter), LangChainSemanticCache(cache))
    limiter.available_tokens = 1.0
    limiter.last = 0.0
    model.invoke("q")
    assert text(model.stream("q")) == model.invoke("q").text == "answer 1"
    assert not limiter.acquire(blocking=False)


@pytest.mark.parametrize("delay_s", [0.0, 0.25])
async def test_a_replay_is_as_slow_as_it_is_asked_to_be(script, cache, monkeypatch, delay_s):
    """Nobody here really sleeps: what counts is who is asked to, how long and how often."""
    slept, aslept, here = [], [], threading.get_ident()

    def sleep(seconds, pause=time.sleep):
        slept.append(seconds) if threading.get_ident() == here else pause(seconds)

    async def asleep(seconds, pause=asyncio.sleep):
        if threading.get_ident() != here:  # a server of another test's, in a thread of its own
            return await pause(seconds)
        aslept.append(seconds)
        return await pause(0)

    model = with_semantic_cache(
        Scripted(script=script), cache, replay=ReplayConfig("words", 1, delay_s=delay_s)
    )
    list(model.stream("q"))
    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", asleep)
    chunks = list(model.stream("q"))
    assert slept == [delay_s] * (len(chunks) - 1) * bool(delay_s)
    assert await heard(model) == "".join(WORDS)
    assert [seconds for seconds in aslept if seconds] == slept


def test_bypass_and_refresh_ask_the_model(scripted, script):
    cache = LangChainSemanticCache
    scripted.invoke("q")
    with cache.bypass():
        list(scripted.stream("q"))
    with cache.refresh():
        list(scripted.stream("q"))
    assert script.calls == 3
    assert text(scripted.stream("q")) == "".join(WORDS)


def test_tenants_do_not_hear_each_others_streams(scripted, script):
    with LangChainSemanticCache.scope(tenant="one"):
        mine = scripted.stream("q")
        next(mine)
    with LangChainSemanticCache.scope(tenant="other"):
        assert text(scripted.stream("q")) == "".join(WORDS)
    assert script.calls == 2
    mine.close()
