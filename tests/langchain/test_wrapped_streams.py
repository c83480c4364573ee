"""What is stored of a stream, and what callers share who ask the same at the same time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from doubles.langchain_calls import CountingChat
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.rate_limiters import InMemoryRateLimiter

from semcache_integrations import SemanticCache
from semcache_integrations.langchain import LangChainSemanticCache, ReplayConfig, with_semantic_cache
from semcache_integrations.testing import HashingEmbedder, MemoryStore

WORDS = ["One ", "two ", "three."]
MANY = 20
LONG_S = 30  # nobody waits so long but for a deadlock


class Scripted(CountingChat):
    """Streams three words; stops before each for as long as its gate is shut, and fails when it is told to.

    All state is in `script`, which the wrapped model and this one share.
    """

    script: Any = None

    def _begin(self):
        self.script.calls += 1
        return self.script.calls in self.script.failing

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        assert self.script.gate.wait(LONG_S)
        if fails:
            raise ValueError("the provider failed")
        return super()._generate(messages, stop, run_manager, **kwargs)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        for word in WORDS:
            self.script.sent += 1
            yield chunk(word)
            assert self.script.gate.wait(LONG_S)
            if fails:
                raise ValueError("the provider failed")
        yield chunk("", finish_reason="stop")

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        fails = self._begin()
        for word in WORDS:
            self.script.sent += 1
            yield chunk(word)
            assert await asyncio.to_thread(self.script.gate.wait, LONG_S)
            if fails:
                raise ValueError("the provider failed")
        yield chunk("", finish_reason="stop")


class Script:
    def __init__(self):
        self.calls = self.sent = 0
        self.failing = ()
        self.gate = threading.Event()
        self.gate.set()

    def __repr__(self):
        return "a script"  # what it holds is no setting of the model


def chunk(text, **info):
    return ChatGenerationChunk(message=AIMessageChunk(text), generation_info=info or None)


class Misses:
    """A hook that knows when so many look-ups have missed."""

    def __init__(self, number):
        self.all = threading.Event()
        self._left = number
        self._lock = threading.Lock()

    def __call__(self, event):
        with self._lock:
            self._left -= event.kind == "miss"
            if not self._left:
                self.all.set()


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def misses():
    return Misses(MANY)


@pytest.fixture
def model(script, misses):
    with SemanticCache(
        embedder=HashingEmbedder(), store=MemoryStore(), similarity_threshold=0.75, hooks=[misses]
    ) as cache:
        yield with_semantic_cache(Scripted(script=script), LangChainSemanticCache(cache))


def text(chunks):
    return "".join(each.text for each in chunks)


async def heard(model):
    return text([each async for each in model.astream("q")])


# -- what is stored ----------------------------------------------------------------------------------------


def test_chunks_of_a_miss_come_as_they_are_sent(model, script):
    stream = model.stream("q")
    for at, word in enumerate(WORDS, start=1):
        assert next(stream).text == word
        assert script.sent == at
    assert text(stream) == ""
    assert model.invoke("q").text == "".join(WORDS)
    assert script.calls == 1


async def test_async_chunks_of_a_miss_come_as_they_are_sent(model, script):
    stream = model.astream("q")
    for at, word in enumerate(WORDS, start=1):
        assert (await anext(stream)).text == word
        assert script.sent == at
    assert [each.text async for each in stream if each.text] == []
    assert await heard(model) == "".join(WORDS)
    assert script.calls == 1


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_stream_that_is_broken_off_is_not_stored(model, script, taken):
    stream = model.stream("q")
    for _ in range(taken):
        next(stream)
    stream.close()
    assert text(model.stream("q")) == "".join(WORDS)
    assert script.calls == 2


@pytest.mark.parametrize("taken", [1, 2, 3])
async def test_an_async_stream_that_is_closed_is_not_stored(model, script, taken):
    stream = model.astream("q")
    for _ in range(taken):
        await anext(stream)
    await stream.aclose()
    assert await heard(model) == "".join(WORDS)
    assert script.calls == 2


async def test_a_stream_whose_task_is_cancelled_is_not_stored(model, script):
    script.gate.clear()
    first = asyncio.Event()

    async def read():
        async for _ in model.astream("q"):
            first.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(first.wait(), LONG_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    script.gate.set()
    assert await heard(model) == "".join(WORDS)
    assert script.calls == 2


async def test_a_stream_that_failed_is_not_stored_and_its_error_is_the_models_own(model, script):
    script.failing = (1, 2)
    with pytest.raises(ValueError, match="the provider failed"):
        list(model.stream("q"))
    with pytest.raises(ValueError, match="the provider failed"):
        await heard(model)
    assert await heard(model) == "".join(WORDS)
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
    """Nobody really sleeps: what counts is who is asked to, how long and how often."""
    slept, aslept = [], []

    async def asleep(seconds, pause=asyncio.sleep):
        aslept.append(seconds)
        await pause(0)

    model = with_semantic_cache(
        Scripted(script=script), cache, replay=ReplayConfig("words", 1, delay_s=delay_s)
    )
    list(model.stream("q"))
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("asyncio.sleep", asleep)
    chunks = list(model.stream("q"))
    assert slept == [delay_s] * (len(chunks) - 1) * bool(delay_s)
    assert await heard(model) == "".join(WORDS)
    assert [seconds for seconds in aslept if seconds] == slept


def test_bypass_and_refresh_ask_the_model(model, script):
    cache = LangChainSemanticCache
    model.invoke("q")
    with cache.bypass():
        list(model.stream("q"))
    with cache.refresh():
        list(model.stream("q"))
    assert script.calls == 3
    assert text(model.stream("q")) == "".join(WORDS)


def test_tenants_do_not_hear_each_others_streams(model, script):
    with LangChainSemanticCache.scope(tenant="one"):
        mine = model.stream("q")
        next(mine)
    with LangChainSemanticCache.scope(tenant="other"):
        assert text(model.stream("q")) == "".join(WORDS)
    assert script.calls == 2
    mine.close()


# -- what is shared ----------------------------------------------------------------------------------------


def test_twenty_equal_invokes_in_threads_make_one_call(model, script, misses):
    script.gate.clear()
    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(model.invoke, "q") for _ in range(MANY)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        answers = {each.result(LONG_S).text for each in waiting}
    assert (answers, script.calls) == ({"answer 1"}, 1)


async def test_twenty_equal_items_of_an_abatch_make_one_call(model, script, misses):
    script.gate.clear()
    batch = asyncio.ensure_future(model.abatch(["q"] * MANY))
    assert await asyncio.to_thread(misses.all.wait, LONG_S)
    script.gate.set()
    assert {each.text for each in await batch} == {"answer 1"}
    assert script.calls == 1


def test_equal_calls_on_two_event_loops_make_one_call(model, script, misses):
    script.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(asyncio.run, model.abatch(["q"] * (MANY // 2))) for _ in range(2)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        answers = {each.text for batch in waiting for each in batch.result(LONG_S)}
    assert (answers, script.calls) == ({"answer 1"}, 1)


def test_a_call_that_failed_hands_over(model, script, misses):
    script.failing = (1,)
    script.gate.clear()
    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(model.invoke, "q") for _ in range(MANY)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        failed = [each for each in waiting if each.exception(LONG_S)]
    assert (len(failed), script.calls) == (1, 2)


@pytest.mark.parametrize("followers", [1, MANY - 1])
def test_who_follows_a_stream_hears_it_as_it_comes(model, script, followers):
    script.gate.clear()
    leading = model.stream("q")
    assert next(leading).text == WORDS[0]
    following = [model.stream("q") for _ in range(followers)]
    assert {next(each).text for each in following} == {WORDS[0]}
    script.gate.set()
    assert {text(each) for each in following} == {"".join(WORDS[1:])}
    assert text(leading) == "".join(WORDS[1:])
    assert script.calls == 1


def test_who_follows_a_stream_hears_it_to_its_end_though_the_first_reader_left(model, script):
    leading, following = model.stream("q"), model.stream("q")
    next(leading), next(following)
    leading.close()
    assert text(following) == "".join(WORDS[1:])
    assert model.invoke("q").text == "".join(WORDS)
    assert script.calls == 1


async def test_who_follows_an_async_stream_hears_it_to_its_end_though_the_first_reader_left(model, script):
    leading, following = model.astream("q"), model.astream("q")
    await anext(leading)
    await anext(following)
    await leading.aclose()
    assert [each.text async for each in following if each.text] == WORDS[1:]
    assert await heard(model) == "".join(WORDS)
    assert script.calls == 1


async def test_twenty_equal_async_streams_make_one_call(model, script, misses):
    script.gate.clear()
    waiting = [asyncio.ensure_future(heard(model)) for _ in range(MANY)]
    assert await asyncio.to_thread(misses.all.wait, LONG_S)
    script.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"".join(WORDS)}
    assert script.calls == 1
