"""The rules of the flights, by themselves: who waits for whom, and when a call that says nothing has landed."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from contextvars import copy_context

import pytest
from doubles.litellm_loops import until

from semcache_integrations.litellm import flights as module
from semcache_integrations.litellm.flights import Flights

PATIENCE_S = 20.0  # who waits so long waits in vain, and says afterwards that it has waited
GRACE_S = 10.0


class Record:
    """Stands for LiteLLM's record of a call."""


@pytest.fixture
def flights():
    return Flights(PATIENCE_S)


def call(number, record=None):
    return {"litellm_call_id": number, "litellm_logging_obj": record}


# -- nobody waits for itself ---------------------------------------------------------------------------


def test_a_thread_does_not_wait_for_a_call_of_its_own_though_another_context_leads_it(flights):
    """As where a sync call runs inside of a loop whose task leads."""
    copy_context().run(flights.wait, "a question", None, call(1))
    assert flights.wait("a question", None, call(2)) is False


@pytest.mark.parametrize("size", [2, 3, 4])
async def test_of_calls_that_would_wait_in_a_ring_one_does_not(flights, size):
    leading, waited = [], []

    async def cross(mine):
        await flights.await_(mine, None, call(mine))
        leading.append(mine)
        await until(lambda: len(leading) == size)
        waited.append(await flights.await_((mine + 1) % size, None, call(mine + size)))
        flights.land(mine)

    await asyncio.gather(*map(cross, range(size)))
    assert sorted(waited) == [False, *[True] * (size - 1)]


async def test_a_wait_that_is_over_holds_up_nobody(flights):
    await asyncio.create_task(flights.await_("another question", None, call(1)))
    await flights.await_("a question", None, call(2))
    asyncio.get_running_loop().call_soon(flights.land, 1)
    assert await flights.await_("another question", None, call(3)) is True
    assert flights._flights["a question"].awaits == []


async def test_a_context_forgets_the_calls_that_have_landed(flights):
    await flights.await_("a question", None, call(1))
    (first,) = flights._flights.values()
    flights.land(1)
    await flights.await_("another question", None, call(2))
    assert first not in module._led.get()


# -- when a call has landed ----------------------------------------------------------------------------


async def test_a_task_that_is_cancelled_lands_its_call_at_once(flights, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", GRACE_S)
    record = Record()

    async def lead():
        await flights.await_("a question", None, call(1, record))
        await asyncio.Event().wait()

    leader = asyncio.create_task(lead())
    await until(lambda: flights._flights)
    leader.cancel()
    with suppress(asyncio.CancelledError):
        await leader
    assert not flights._flights


async def test_a_task_that_ends_leaves_its_call_some_time_to_be_written(flights, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", GRACE_S)
    record = Record()
    await asyncio.create_task(flights.await_("a question", None, call(1, record)))
    await asyncio.sleep(0)  # all who hear of its end have heard
    assert list(flights._flights) == ["a question"]
    assert all(one.daemon for one in threading.enumerate() if isinstance(one, threading.Timer))
    flights.land(1)
    assert not flights._flights


async def test_a_call_that_is_not_written_in_that_time_has_landed(flights, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", 0.01)
    record = Record()
    await asyncio.create_task(flights.await_("a question", None, call(1, record)))
    await until(lambda: not flights._flights)
    assert record


async def test_a_call_that_is_nested_in_another_one_lands_alone(flights):
    await flights.await_("outer", "chat", call(1))
    await flights.await_("inner", "responses", call(1))
    flights.land(1, "responses")
    assert list(flights._flights) == ["outer"]
    flights.land(1)
    assert not flights._flights


async def test_what_is_heard_late_of_a_call_does_not_land_the_next_one(flights):
    await flights.await_("a question", None, call(1))
    (first,) = flights._flights.values()
    flights.land(1)
    await flights.await_("a question", None, call(2))
    flights._lose("a question", first)
    assert [one.call for one in flights._flights.values()] == [2]


@pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no os.fork, so there is no child to test"
)
def test_a_forked_process_has_a_lock_of_its_own(flights):
    """A thread that has stayed behind may hold the parent's."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with flights._lock:
            held.set()
            done.wait(PATIENCE_S)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE_S)
    child = os.fork()
    if child == 0:
        os._exit(0 if flights._lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
    done.set()
    holder.join()


def test_a_record_may_be_dropped_wherever_the_lock_is_held(flights):
    record = Record()
    flights.wait("a question", None, call(1, record))
    with flights._lock:
        assert flights._lock.acquire(blocking=False)  # or what follows would never end
        flights._lock.release()
        del record
    assert not flights._flights


async def test_without_patience_nobody_leads():
    flights = Flights(0)
    assert await flights.await_("a question", None, call(1)) is False
    assert not flights._flights
