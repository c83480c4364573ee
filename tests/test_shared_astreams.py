"""Shared streams in tasks of one event loop: equal readers share one source, and nobody harms the others."""

from __future__ import annotations

import asyncio

import pytest
from doubles.streams import AsyncSource, whole
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.shared_streams import SharedStreams

LIMIT_S = 20


async def all_of(reader):
    return [chunk async for chunk in reader]


async def within(*awaitables):
    """Return what all of them return or raise; fail if one of them hangs."""
    return await asyncio.wait_for(asyncio.gather(*awaitables, return_exceptions=True), LIMIT_S)


async def next_of(reader):
    return await asyncio.wait_for(anext(reader), LIMIT_S)


async def joined(streams, readers):
    """Let the loop go round until so many readers share the stream."""
    for _ in range(1000):
        if streams._astreams and streams._astreams["key"].readers == readers:
            return
        await asyncio.sleep(0)
    raise AssertionError("they never met")


@pytest.fixture
async def streams():
    """What every test leaves behind: nothing, and no task."""
    one = SharedStreams()
    yield one
    assert not one._streams
    assert not one._astreams
    assert {task for task in asyncio.all_tasks() if "_walk" in repr(task)} == set()


async def test_twenty_tasks_read_one_source(streams):
    gate = asyncio.Event()

    async def wait(number):
        await gate.wait()

    source = AsyncSource(before=wait)
    tasks = [asyncio.ensure_future(all_of(streams.aread("key", source))) for _ in range(20)]
    await joined(streams, 20)
    gate.set()
    assert await within(*tasks) == [whole()] * 20
    assert (source.opened, source.fetched, source.whole) == (1, 3, 1)


async def test_who_comes_late_hears_all_from_the_first_chunk(streams):
    source = AsyncSource()
    early = streams.aread("key", source)
    heard = [await next_of(early), await next_of(early)]
    (late,) = await within(all_of(streams.aread("key", source)))
    assert late == heard + await all_of(early) == whole()
    assert source.opened == 1


async def test_after_the_end_the_same_key_opens_a_new_stream_that_is_shared(streams):
    source = AsyncSource()
    paused = streams.aread("key", source)
    await next_of(paused)
    assert await within(all_of(streams.aread("key", source))) == [whole(1)]
    await next_of(paused)
    second, third = streams.aread("key", source), streams.aread("key", source)
    assert await next_of(second) == await next_of(third) == (2, 0)
    assert await within(all_of(paused), all_of(second), all_of(third)) == [
        whole(1)[2:],
        whole(2)[1:],
        whole(2)[1:],
    ]


async def test_a_reader_that_breaks_off_leaves_the_others_whole_and_the_last_one_closes_the_source(streams):
    source = AsyncSource()
    readers = [streams.aread("key", source) for _ in range(3)]
    assert {await next_of(reader) for reader in readers} == {(1, 0)}
    await readers[0].aclose()  # it opened the source
    assert await next_of(readers[1]) == (1, 1)
    await readers[1].aclose()
    assert source.broken_off == 0
    await readers[2].aclose()
    assert (source.opened, source.whole, source.broken_off) == (1, 0, 1)


@pytest.mark.parametrize("readers", [1, 5], ids=["one reader", "five readers"])
async def test_nothing_is_fetched_before_a_reader_wants_it(streams, readers):
    """Five readers want the same chunk, not five chunks, even if they come while it is being fetched."""
    source, gate, fetching = AsyncSource(), asyncio.Event(), asyncio.Event()

    async def wait(number):
        fetching.set()
        await gate.wait()

    source.before = wait
    waiting = [streams.aread("key", source) for _ in range(readers)]
    first = asyncio.ensure_future(anext(waiting[0]))
    await asyncio.wait_for(fetching.wait(), LIMIT_S)
    others = [asyncio.ensure_future(anext(reader)) for reader in waiting[1:]]
    await joined(streams, readers)
    gate.set()
    assert await within(first, *others) == [(1, 0)] * readers
    for _ in range(20):  # rounds of the loop: time for a source to run ahead
        await asyncio.sleep(0)
    for reader in waiting:
        await reader.aclose()
    assert (source.fetched, source.broken_off) == (1, 1)


async def test_a_paused_reader_holds_up_nobody(streams):
    source = AsyncSource()
    paused, never_advanced = streams.aread("key", source), streams.aread("key", source)
    await next_of(paused)
    assert await within(all_of(streams.aread("key", source))) == [whole()]
    assert await within(all_of(paused)) == [whole()[1:]]
    await never_advanced.aclose()
    assert source.opened == 1


@pytest.mark.parametrize("chunk", [0, 1], ids=["before the first chunk", "in the middle"])
@pytest.mark.parametrize("cancelled", [0, 1], ids=["who opened it", "a follower"])
async def test_a_task_that_is_cancelled_while_it_waits_leaves_the_others_whole(streams, cancelled, chunk):
    waiting, gate = asyncio.Event(), asyncio.Event()

    async def wait(number):
        if number == chunk:
            waiting.set()
            await gate.wait()

    source = AsyncSource(before=wait)
    tasks = [asyncio.ensure_future(all_of(streams.aread("key", source))) for _ in range(3)]
    await asyncio.wait_for(waiting.wait(), LIMIT_S)
    tasks[cancelled].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[cancelled]
    gate.set()
    others = [task for task in tasks if task is not tasks[cancelled]]
    assert await within(*others) == [whole()] * 2
    assert (source.opened, source.broken_off) == (1, 0)


async def test_when_all_are_cancelled_the_source_is_closed(streams):
    waiting = asyncio.Event()

    async def hang(number):
        waiting.set()
        await asyncio.Event().wait()

    source = AsyncSource(before=hang)
    tasks = [asyncio.ensure_future(all_of(streams.aread("key", source))) for _ in range(3)]
    await asyncio.wait_for(waiting.wait(), LIMIT_S)
    for task in tasks:
        task.cancel()
    assert {type(error) for error in await within(*tasks)} == {asyncio.CancelledError}
    assert source.broken_off == 1


async def test_a_stream_that_fails_at_once_fails_for_who_opened_it_and_is_asked_anew_by_the_others(streams):
    async def fail_once(number):
        if source.opened == 1:
            raise ValueError("the provider said no")

    source = AsyncSource(before=fail_once)
    error, *answers = await within(*(all_of(streams.aread("key", source)) for _ in range(3)))
    assert isinstance(error, ValueError)
    assert answers == [whole(2)] * 2


async def test_a_stream_that_fails_later_fails_for_all_who_heard_its_beginning(streams):
    async def fail(number):
        if number == 1:
            raise ValueError("the provider said no")

    source = AsyncSource(before=fail)
    readers = [streams.aread("key", source) for _ in range(3)]
    for reader in readers:
        await next_of(reader)
    errors = await within(*(all_of(reader) for reader in readers))
    assert [str(error) for error in errors] == ["the provider said no"] * 3
    assert source.opened == 1


async def test_a_source_that_is_cancelled_from_within_is_no_end(streams):
    async def give_up(number):
        if number == 1:
            raise asyncio.CancelledError

    (error,) = await within(all_of(streams.aread("key", AsyncSource(before=give_up))))
    assert isinstance(error, RuntimeError)


async def test_a_source_that_reads_its_own_key_does_not_wait_for_itself(streams):
    async def outer():
        yield await all_of(streams.aread("key", AsyncSource()))
        yield await asyncio.create_task(all_of(streams.aread("key", AsyncSource())))

    assert await within(all_of(streams.aread("key", outer))) == [[whole(), whole()]]


STEPS = st.sampled_from(["open", "next", "close", "cancel"])


@given(st.lists(st.tuples(STEPS, st.integers(0, 5)), max_size=60))
def test_whatever_readers_do_each_hears_one_stream_from_its_first_chunk(steps):
    async def fail_twice(number):
        if number == 1 and source.opened <= 2:
            raise ValueError("the provider said no")

    async def cancel(reader):
        task = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return None if task.cancelled() else task.result()

    async def walk():
        readers = []
        for step, at in steps:
            if step == "open":
                readers.append((streams.aread(at % 2, source), []))
            elif readers:
                reader, heard = readers[at % len(readers)]
                do = {"next": next_of, "close": lambda reader: reader.aclose(), "cancel": cancel}[step]
                try:
                    chunk = await do(reader)
                except (StopAsyncIteration, ValueError):
                    continue
                heard.extend([chunk] if chunk else [])
                assert heard == whole(heard[0][0] if heard else 0)[: len(heard)]
        for reader, _ in readers:
            await reader.aclose()
        assert not streams._astreams
        assert asyncio.all_tasks() == {asyncio.current_task()}

    streams, source = SharedStreams(), AsyncSource(before=fail_twice)
    asyncio.run(walk())
