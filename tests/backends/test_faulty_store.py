"""The faults that we ship look like real ones, and go when told to."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Namespace
from semcache_integrations.testing import FaultyStore, MemoryStore

HOME = Namespace("a" * 32)
ENTRY = CacheEntry("00000000-0000-0000-0000-000000000001", HOME, "q", "a", 1.0)
UP = [1.0, 0.0]


@pytest.fixture
def store():
    store = FaultyStore(MemoryStore())
    store.put(ENTRY, UP)
    yield store
    store.close()


def halves(store):
    return [lambda: store.get(HOME, ENTRY.id), lambda: asyncio.run(store.aget(HOME, ENTRY.id))]


def test_it_fails_as_often_as_it_was_told_and_only_where(store):
    store.fail("get", times=2)
    for get in halves(store):
        with pytest.raises(StoreError, match="injected"):
            get()
    assert [get() for get in halves(store)] == [ENTRY, ENTRY]
    store.fail("get", error=RuntimeError("a bug in the store"))
    with pytest.raises(RuntimeError, match="a bug"):
        store.get(HOME, ENTRY.id)
    assert store.count() == 1


def test_it_fails_everywhere_until_it_is_healed(store):
    store.fail()
    for call in (store.count, lambda: store.put(ENTRY, UP), lambda: store.search(HOME, UP, 1)):
        with pytest.raises(StoreError):
            call()
    store.heal()
    assert store.count() == 1


def test_it_lies_when_told_to(store):
    store.garble()
    assert store.get(HOME, ENTRY.id).payload != ENTRY.payload
    (found,) = asyncio.run(store.asearch(HOME, UP, 1))
    assert math.isnan(found.similarity)


def test_what_hangs_is_let_go_by_healing(store):
    store.hang("get", seconds=3600.0)
    for get in halves(store):
        answers = []
        thread = threading.Thread(target=lambda get=get, answers=answers: answers.append(get()))
        before = len(store.calls)
        thread.start()
        while len(store.calls) == before:
            pass
        assert answers == []
        store.heal()
        thread.join()
        assert answers == [ENTRY]
        store.hang("get", seconds=3600.0)


def test_it_remembers_what_was_called(store):
    store.calls.clear()
    store.get(HOME, ENTRY.id)
    asyncio.run(store.asearch(HOME, UP, 1))
    assert store.calls == ["get", "search"]
    assert FaultyStore(store, in_process=False).in_process is False
    assert FaultyStore(store).in_process is True
