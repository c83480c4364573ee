"""Shared streams in threads: equal readers share one source, each at its own pace, and nobody harms the others."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from doubles.streams import Source, whole
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.shared_streams import SharedStreams

LIMIT_S = 20


def in_threads(*calls):
    """Return what the calls return or raise, each in a thread; fail if one of them hangs."""
    results = [None] * len(calls)

    def run(at, call):
        try:
            results[at] = call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[at] = error

    threads = [threading.Thread(target=run, args=(at, call), daemon=True) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in threads)
    return results


@pytest.fixture
def streams():
    """What every test leaves behind: nothing."""
    one = SharedStreams()
    yield one
    assert not one._streams
    assert not one._astreams


def test_twenty_threads_read_one_source(streams):
    everyone = threading.Barrier(20)

    def read():
        reader = streams.read("key", source)
        first = next(reader)
        everyone.wait(LIMIT_S)  # all have heard the beginning, and nobody the end
        return [first, *reader]

    source = Source()
    assert in_threads(*[read] * 20) == [whole()] * 20
    assert (source.opened, source.fetched, source.whole) == (1, 3, 1)


def test_readers_get_the_very_same_objects(streams):
    first, second = streams.read("key", Source()), streams.read("key", Source())
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_who_comes_late_hears_all_from_the_first_chunk(streams):
    source = Source()
    early = streams.read("key", source)
    heard = [next(early), next(early)]
    late = streams.read("key", source)
    assert list(late) == heard + list(early) == whole()
    assert source.opened == 1


def test_other_keys_have_streams_of_their_own(streams):
    source = Source()
    one, other = streams.read("a", source), streams.read("b", source)
    assert [next(one)[0], next(other)[0]] == [1, 2]
    assert len([*one, *other]) == 4


def test_after_the_end_the_same_key_opens_a_new_stream(streams):
    source = Source()
    assert list(streams.read("key", source)) == whole(1)
    assert list(streams.read("key", source)) == whole(2)


def test_an_ended_stream_that_somebody_still_reads_keeps_nobody_from_sharing_the_next_one(streams):
    source = Source()
    paused = streams.read("key", source)
    next(paused)
    assert list(streams.read("key", source)) == whole(1)
    assert next(paused) == (1, 1)
    second, third = streams.read("key", source), streams.read("key", source)
    assert next(second) == next(third) == (2, 0)
    assert list(paused) == whole(1)[2:]
    assert list(second) == list(third) == whole(2)[1:]
    assert source.opened == 2


def test_a_reader_that_breaks_off_leaves_the_others_whole_and_the_last_one_closes_the_source(streams):
    source = Source()
    readers = [streams.read("key", source) for _ in range(3)]
    assert {next(reader) for reader in readers} == {(1, 0)}
    readers[0].close()  # it opened the source
    assert source.broken_off == 0
    assert list(readers[1]) == whole()[1:]
    readers[2].close()
    assert (source.opened, source.whole, source.broken_off) == (1, 1, 0)


def test_the_last_one_who_breaks_off_closes_the_source(streams):
    source = Source()
    readers = [streams.read("key", source) for _ in range(2)]
    for reader in readers:
        next(reader)
    readers[1].close()
    assert source.broken_off == 0
    readers[0].close()
    assert (source.fetched, source.whole, source.broken_off) == (1, 0, 1)


def test_nothing_is_opened_or_fetched_before_a_reader_wants_it(streams):
    source = Source()
    reader = streams.read("key", source)
    assert source.opened == 0
    for _ in reader:
        break
    reader.close()
    assert source.fetched == 1


def test_a_paused_reader_holds_up_nobody(streams):
    source = Source()
    paused, never_advanced = streams.read("key", source), streams.read("key", source)
    next(paused)
    assert in_threads(lambda: list(streams.read("key", source))) == [whole()]
    assert list(paused) == whole()[1:]
    never_advanced.close()
    assert source.opened == 1


def failing_at(chunk, times=1):
    """Return a source that fails at a chunk, as often as told."""

    def fail(number):
        if number == chunk and source.opened <= times:
            raise ValueError(f"the provider said no to {source.opened}")

    source = Source(before=fail)
    return source


def test_a_stream_that_fails_at_once_fails_for_who_opened_it_and_is_asked_anew_by_a_follower(streams):
    """The follower joins while the source is about to fail."""
    opening, gate = threading.Event(), threading.Event()

    def fail_once(number):
        if source.opened == 1:
            opening.set()
            assert gate.wait(LIMIT_S)
            raise ValueError("the provider said no")

    def follow():
        assert opening.wait(LIMIT_S)
        return list(streams.read("key", source))

    def release():
        assert opening.wait(LIMIT_S)
        while streams._streams["key"].readers < 2:
            gate.wait(0.001)
        gate.set()

    source = Source(before=fail_once)
    error, answer, _ = in_threads(lambda: list(streams.read("key", source)), follow, release)
    assert isinstance(error, ValueError)
    assert answer == whole(2)


def test_a_source_that_cannot_be_opened_fails_for_who_opened_it(streams):
    def refuse():
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        next(streams.read("key", refuse))


def test_a_stream_that_fails_later_fails_for_all_who_heard_its_beginning(streams):
    source = failing_at(2)
    readers = [streams.read("key", source) for _ in range(3)]
    for reader in readers:
        next(reader)
    for reader in readers:
        assert next(reader) == (1, 1)
        with pytest.raises(ValueError, match="no to 1"):
            next(reader)
    assert source.opened == 1
    assert list(streams.read("key", source)) == whole(2)


def test_an_interrupt_is_its_readers_own_and_no_end_for_the_others(streams):
    def interrupt(number):
        if number == 1:
            raise KeyboardInterrupt

    first, second = (streams.read("key", source) for source in [Source(before=interrupt)] * 2)
    assert next(first) == next(second)
    with pytest.raises(KeyboardInterrupt):
        next(first)
    with pytest.raises(RuntimeError, match="interrupted"):
        next(second)


def test_what_a_reader_raises_is_its_own(streams):
    first, second = (streams.read("key", source) for source in [Source()] * 2)
    assert next(first) == next(second)
    with pytest.raises(ValueError, match="the reader's"):
        first.throw(ValueError("the reader's"))
    assert list(second) == whole()[1:]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same thread", "thread of a pool"])
def test_a_source_that_reads_its_own_key_does_not_wait_for_itself(streams, elsewhere):
    def outer():
        def inner():
            return list(streams.read("key", Source()))

        with ThreadPoolExecutor(1) as pool:  # LangChain's pools copy the context, too
            yield pool.submit(copy_context().run, inner).result(LIMIT_S) if elsewhere else inner()

    assert in_threads(lambda: list(streams.read("key", outer))) == [[whole()]]


class CollectingKey:
    """A key at whose look-up, under the lock, the garbage collector comes."""

    def __hash__(self):
        gc.collect()
        return 1


def test_a_reader_that_the_garbage_collector_ends_inside_a_look_up_does_no_harm(streams):
    key, source = CollectingKey(), Source()

    def leave_one_behind():
        holder = [streams.read(key, source)]
        next(holder[0])
        holder.append(holder)  # nothing but the collector gets rid of a circle

    def read():
        gc.disable()
        leave_one_behind()
        return list(streams.read(key, source))

    try:
        assert in_threads(read) == [whole(2)]
    finally:
        gc.enable()
    assert source.broken_off == 1


@given(st.lists(st.tuples(st.sampled_from(["open", "next", "close"]), st.integers(0, 5)), max_size=60))
def test_whatever_readers_do_each_hears_one_stream_from_its_first_chunk(steps):
    streams, source, readers = SharedStreams(), failing_at(1, times=2), []
    for step, at in steps:
        if step == "open":
            readers.append((streams.read(at % 2, source), []))
        elif readers:
            reader, heard = readers[at % len(readers)]
            try:
                heard.append(next(reader)) if step == "next" else reader.close()
            except (StopIteration, ValueError):
                continue
            assert heard == whole(heard[0][0] if heard else 0)[: len(heard)]
    for reader, _ in readers:
        reader.close()
    assert not streams._streams
    assert source.fetched == len({chunk for _, heard in readers for chunk in heard})
