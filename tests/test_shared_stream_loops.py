"""Shared streams on several event loops: equal readers share one source, and survive the loop that it runs on."""

from __future__ import annotations

import asyncio
import threading

import pytest
from doubles.streams import AsyncSource, whole

from semcache_integrations import shared_streams
from semcache_integrations.shared_streams import SharedStreams

LIMIT_S = 20


@pytest.fixture
def streams(monkeypatch):
    """What every test leaves behind: nothing."""
    monkeypatch.setattr(shared_streams, "_PATIENCE_S", 0.01)
    one = SharedStreams()
    yield one
    assert not one._astreams


def on_a_loop_of_its_own(coroutine):
    """Run it in a thread; return that and the list in which what it returns or raises will be."""
    outcome = []

    async def run():
        outcome.extend(await asyncio.gather(coroutine, return_exceptions=True))

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    return thread, outcome


def outcome_of(running):
    thread, outcome = running
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    return outcome[0]


async def all_of(reader):
    return [chunk async for chunk in reader]


async def second_reader(streams):
    """Wait until somebody joins the stream that runs on this loop."""
    while streams._astreams["key"].readers < 2:  # noqa: ASYNC110 - who joins is on another loop
        await asyncio.sleep(0)


async def hang(_number):
    await asyncio.Event().wait()


async def hang_after_the_first_chunk(number):
    if number:
        await hang(number)


def test_readers_on_two_loops_share_one_source(streams):
    both = threading.Barrier(2)

    async def read():
        reader = streams.aread("key", source)
        first = await anext(reader)
        both.wait(LIMIT_S)
        return [first, *(await all_of(reader))]

    source = AsyncSource(chunks=20)
    running = [on_a_loop_of_its_own(read()) for _ in range(2)]
    assert [outcome_of(one) for one in running] == [whole(chunks=20)] * 2
    assert (source.opened, source.fetched, source.whole) == (1, 20, 1)


def test_a_follower_that_heard_nothing_asks_anew_when_the_loop_of_the_stream_is_shut_down(streams):
    async def open_and_go():
        opener = asyncio.ensure_future(all_of(streams.aread("key", AsyncSource(before=hang))))
        await asyncio.sleep(0)
        follower = on_a_loop_of_its_own(all_of(streams.aread("key", AsyncSource())))
        await second_reader(streams)
        assert not opener.done()
        return follower

    assert outcome_of(asyncio.run(open_and_go())) == whole()


def test_a_follower_that_heard_the_beginning_is_told_when_the_loop_of_the_stream_is_shut_down(streams):
    async def open_and_go():
        reader = streams.aread("key", source)
        await anext(reader)
        follower = on_a_loop_of_its_own(all_of(streams.aread("key", source)))
        await second_reader(streams)
        return follower

    source = AsyncSource(before=hang_after_the_first_chunk)
    error = outcome_of(asyncio.run(open_and_go()))
    assert isinstance(error, RuntimeError)
    assert "the stream" in str(error)
    assert (source.opened, source.broken_off) == (1, 1)


def test_a_follower_asks_anew_when_the_loop_of_the_stream_just_stops(streams):
    loop = asyncio.new_event_loop()

    async def open_it():
        opener = asyncio.ensure_future(all_of(streams.aread("key", AsyncSource(before=hang))))
        await asyncio.sleep(0)
        follower = on_a_loop_of_its_own(all_of(streams.aread("key", AsyncSource())))
        await second_reader(streams)
        return opener, follower

    async def leave(opener):
        opener.cancel()
        await asyncio.wait([opener])

    opener, follower = loop.run_until_complete(open_it())
    assert outcome_of(follower) == whole()
    loop.run_until_complete(leave(opener))
    assert not asyncio.all_tasks(loop)
    loop.close()


def test_nobody_joins_a_stream_whose_loop_has_stopped(streams):
    """Its beginning is there to be heard, and nothing else ever comes."""
    loop, source = asyncio.new_event_loop(), AsyncSource()
    abandoned = streams.aread("key", source)
    assert loop.run_until_complete(anext(abandoned)) == (1, 0)
    assert asyncio.run(all_of(streams.aread("key", source))) == whole(2)
    assert loop.run_until_complete(all_of(abandoned)) == whole(1)[1:]
    loop.close()


def test_the_last_one_closes_the_source_also_from_another_loop(streams):
    closed = threading.Event()

    async def source():
        try:
            yield 1
            await hang(1)
        finally:
            closed.set()

    async def leave_first():
        opener = streams.aread("key", source)
        await anext(opener)
        follower = on_a_loop_of_its_own(break_off())
        await asyncio.to_thread(joined.wait, LIMIT_S)
        await opener.aclose()
        left.set()
        assert await asyncio.to_thread(closed.wait, LIMIT_S)
        return follower

    async def break_off():
        reader = streams.aread("key", source)
        heard = await anext(reader)
        joined.set()
        left.wait(LIMIT_S)
        assert not closed.is_set()
        await reader.aclose()
        return heard

    joined, left = threading.Event(), threading.Event()
    assert outcome_of(asyncio.run(leave_first())) == 1


async def test_a_chunk_for_a_reader_whose_loop_is_gone_troubles_nobody(streams, caplog):
    async def wait(number):
        await gate.wait()

    async def give_up():
        follower = asyncio.ensure_future(all_of(streams.aread("key", source)))
        await asyncio.sleep(0)
        follower.cancel()
        await asyncio.wait([follower])

    gate, source = asyncio.Event(), AsyncSource(before=wait)
    opener = asyncio.ensure_future(all_of(streams.aread("key", source)))
    await asyncio.sleep(0)
    await asyncio.to_thread(asyncio.run, give_up())
    gate.set()
    assert await asyncio.wait_for(opener, LIMIT_S) == whole()
    assert source.opened == 1
    assert not caplog.records
