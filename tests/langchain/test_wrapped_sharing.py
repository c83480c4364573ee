"""Who asks a wrapped model the same at the same time: one call upstream, one stream, for all."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.langchain_scripted import LONG_S, MANY, WORDS, heard, text


def test_twenty_equal_invokes_in_threads_make_one_call(scripted, script, misses):
    script.gate.clear()
    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(scripted.invoke, "q") for _ in range(MANY)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        answers = {each.result(LONG_S).text for each in waiting}
    assert (answers, script.calls) == ({"answer 1"}, 1)


async def test_twenty_equal_items_of_an_abatch_make_one_call(scripted, script, misses):
    script.gate.clear()
    batch = asyncio.ensure_future(scripted.abatch(["q"] * MANY))
    assert await asyncio.to_thread(misses.all.wait, LONG_S)
    script.gate.set()
    assert {each.text for each in await batch} == {"answer 1"}
    assert script.calls == 1


def test_equal_calls_on_two_event_loops_make_one_call(scripted, script, misses):
    script.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(asyncio.run, scripted.abatch(["q"] * (MANY // 2))) for _ in range(2)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        answers = {each.text for batch in waiting for each in batch.result(LONG_S)}
    assert (answers, script.calls) == ({"answer 1"}, 1)


def test_a_call_that_failed_hands_over(scripted, script, misses):
    script.failing = (1,)
    script.gate.clear()
    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(scripted.invoke, "q") for _ in range(MANY)]
        assert misses.all.wait(LONG_S)
        script.gate.set()
        failed = [each for each in waiting if each.exception(LONG_S)]
    assert (len(failed), script.calls) == (1, 2)


@pytest.mark.parametrize("followers", [1, MANY - 1])
def test_who_follows_a_stream_hears_it_as_it_comes(scripted, script, followers):
    script.gate.clear()
    leading = scripted.stream("q")
    assert next(leading).text == WORDS[0]
    following = [scripted.stream("q") for _ in range(followers)]
    assert {next(each).text for each in following} == {WORDS[0]}
    script.gate.set()
    assert {text(each) for each in following} == {"".join(WORDS[1:])}
    assert text(leading) == "".join(WORDS[1:])
    assert script.calls == 1


def test_who_follows_a_stream_hears_it_to_its_end_though_the_first_reader_left(scripted, script):
    leading, following = scripted.stream("q"), scripted.stream("q")
    next(leading), next(following)
    leading.close()
    assert text(following) == "".join(WORDS[1:])
    assert scripted.invoke("q").text == "".join(WORDS)
    assert script.calls == 1


async def test_who_follows_an_async_stream_hears_it_to_its_end_though_the_first_reader_left(scripted, script):
    leading, following = scripted.astream("q"), scripted.astream("q")
    await anext(leading)
    await anext(following)
    await leading.aclose()
    assert [each.text async for each in following if each.text] == WORDS[1:]
    assert await heard(scripted) == "".join(WORDS)
    assert script.calls == 1


async def test_twenty_equal_async_streams_make_one_call(scripted, script, misses):
    script.gate.clear()
    waiting = [asyncio.ensure_future(heard(scripted)) for _ in range(MANY)]
    assert await asyncio.to_thread(misses.all.wait, LONG_S)
    script.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"".join(WORDS)}
    assert script.calls == 1
