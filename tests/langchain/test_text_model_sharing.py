"""`with_semantic_cache` on text models: equal calls at the same time, and streams that do not come to their end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.langchain_texts import ASKED, AsyncText, CountingText, StreamingText
from langchain_core.outputs import GenerationChunk

LIMIT_S = 20


async def within(awaitable):
    return await asyncio.wait_for(awaitable, LIMIT_S)


def test_twenty_equal_invokes_in_threads_make_one_call(wrapped):
    asked, gate, everyone = threading.Event(), threading.Event(), threading.Barrier(20)

    def hold(_prompt):
        asked.set()
        assert gate.wait(LIMIT_S)

    def ask():
        everyone.wait(LIMIT_S)
        return model.invoke("q")

    model = wrapped(CountingText(gate=hold))
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(ask) for _ in range(20)]
        assert asked.wait(LIMIT_S)
        gate.set()
        assert len({future.result(LIMIT_S) for future in futures}) == 1
    assert ASKED == ["q"]


@pytest.mark.parametrize("kind", [CountingText, AsyncText], ids=["in a pool", "on the loop"])
async def test_twenty_equal_ainvokes_in_tasks_make_one_call(wrapped, kind):
    model = wrapped(kind())
    assert len(set(await within(asyncio.gather(*(model.ainvoke("q") for _ in range(20)))))) == 1
    assert ASKED == ["q"]


def test_equal_streams_in_threads_share_one_call(wrapped):
    everyone = threading.Barrier(8)

    def read():
        chunks = model.stream("q")
        first = next(chunks)
        everyone.wait(LIMIT_S)
        return first + "".join(chunks)

    model = wrapped(StreamingText())
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(read) for _ in range(8)]
        assert len({future.result(LIMIT_S) for future in futures}) == 1
    assert ASKED == ["q"]


@pytest.mark.parametrize("kind", [CountingText, StreamingText, AsyncText])
async def test_equal_streams_in_tasks_share_one_call(wrapped, kind):
    async def read():
        return "".join([text async for text in model.astream("q")])

    model = wrapped(kind())
    assert len(set(await within(asyncio.gather(*(read() for _ in range(8)))))) == 1
    assert ASKED == ["q"]


def test_a_reader_who_edits_a_chunk_edits_nobody_elses_and_not_what_is_kept(wrapped):
    class Telling(StreamingText):
        def _stream(self, prompt, *arguments, **named):
            yield GenerationChunk(text=self._call(prompt), generation_info={"finish_reason": "stop"})

    model = wrapped(Telling())
    one, other = (model._stream("q") for _ in range(2))
    first, second = next(one), next(other)
    first.generation_info["finish_reason"] = "length"
    assert second.generation_info == {"finish_reason": "stop"}
    assert not [*one, *other]
    assert model.invoke("q") == second.text
    assert ASKED == ["q"]


# -- streams that do not come to their end --------------------------------------------------------


def test_a_stream_that_is_broken_off_is_not_kept(wrapped):
    model = wrapped(StreamingText())
    chunks = model.stream("q")
    beginning = next(chunks)
    chunks.close()
    answer = model.invoke("q")
    assert len(ASKED) == 2
    assert len(answer) > len(beginning)


async def test_an_async_stream_that_is_broken_off_is_closed_and_not_kept(wrapped):
    closed = asyncio.Event()

    class Closing(AsyncText):
        async def _astream(self, prompt, *arguments, **named):
            try:
                for chunk in self._stream(prompt):
                    yield chunk
            finally:
                closed.set()

    model = wrapped(Closing())
    chunks = model.astream("q")
    await within(anext(chunks))
    await chunks.aclose()
    await within(closed.wait())
    assert await model.ainvoke("q")
    assert len(ASKED) == 2


async def test_a_stream_whose_task_is_cancelled_is_not_kept_and_harms_no_other_reader(wrapped):
    gate = asyncio.Event()

    class Slow(AsyncText):
        async def _astream(self, prompt, *arguments, **named):
            for chunk in self._stream(prompt):
                yield chunk
                await gate.wait()

    async def read(begun):
        texts = []
        async for text in model.astream("q"):
            texts.append(text)
            begun.set()
        return "".join(texts)

    model = wrapped(Slow())
    for survivors in (0, 1):
        begun = [asyncio.Event() for _ in range(1 + survivors)]
        tasks = [asyncio.ensure_future(read(each)) for each in begun]
        for each in begun:
            await within(each.wait())
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(tasks[0])
    assert ASKED == ["q"] * 2
    gate.set()
    assert await within(tasks[1]) == await model.ainvoke("q")
    assert ASKED == ["q"] * 2


async def test_a_stream_that_fails_is_not_kept_and_fails_for_its_reader(wrapped):
    class Failing(StreamingText):
        def _stream(self, prompt, *arguments, **named):
            yield from super()._stream(prompt, *arguments, **named)
            if len(ASKED) <= 2:
                raise ConnectionError("reset by peer")

    model = wrapped(Failing())
    with pytest.raises(ConnectionError):
        "".join(model.stream("q"))
    with pytest.raises(ConnectionError):
        [text async for text in model.astream("q")]
    assert model.invoke("q")
    assert len(ASKED) == 3


def test_a_call_that_fails_is_not_kept_and_the_next_one_asks_again(wrapped):
    def fail_once(_prompt):
        if len(ASKED) == 1:
            raise ConnectionError("no route")

    model = wrapped(CountingText(gate=fail_once))
    with pytest.raises(ConnectionError):
        model.invoke("q")
    assert model.invoke("q") == model.invoke("q")
    assert len(ASKED) == 2
