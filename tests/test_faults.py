"""What the world does wrong becomes a miss with its reason, in time; the user's call never fails of it."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from time import perf_counter

import pytest

from semcache_integrations import CacheRequest, Embedder, EmbeddingError, Miss, SemanticCache, StoreError
from semcache_integrations.breaker import FAILURES_TO_OPEN
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace
from semcache_integrations.testing import HashingEmbedder, MemoryStore

ASKED = CacheRequest("a secret question of mine")
OTHER = CacheRequest("another one")
FOREIGN = CacheEntry("id", Namespace("foreign"), "t", "p", 0.0)
PATIENCE_S = 5.0  # far beyond any budget here, far below "hangs"


def ask(cache: SemanticCache, request: CacheRequest, *, use_async: bool) -> object:
    return asyncio.run(cache.alookup(request)) if use_async else cache.lookup(request)


def keep(cache: SemanticCache, request: CacheRequest, *, use_async: bool) -> object:
    return asyncio.run(cache.astore(request, "answer")) if use_async else cache.store(request, "answer")


both_halves = pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])


class BadStore(MemoryStore):
    """A store whose `method` does what `fault` says."""

    in_process = False

    def __init__(self, method: str, fault: object) -> None:
        super().__init__()
        self.calls = 0
        self.broken = True

        def misbehave(*args: object) -> object:
            self.calls += 1
            if not self.broken:
                return getattr(MemoryStore, method)(self, *args)
            if isinstance(fault, Exception):
                raise fault
            return fault() if callable(fault) else fault

        setattr(self, method, misbehave)


def hang() -> None:
    threading.Event().wait(30)


def named(fault: object) -> str:
    return getattr(fault, "__name__", str(fault))


STORE_FAULTS = [
    ("get", StoreError("down")),
    ("get", OSError("a secret question of mine")),
    ("get", hang),
    ("get", "garbage"),
    ("search", StoreError("down")),
    ("search", RuntimeError("boom")),
    ("search", hang),
    ("search", ["garbage"]),
    ("search", None),
    ("search", [Candidate(FOREIGN, math.nan)]),
]


@both_halves
@pytest.mark.parametrize(("method", "fault"), STORE_FAULTS, ids=named)
def test_a_misbehaving_store_is_a_miss_within_the_budget(method, fault, use_async, caplog):
    store = BadStore(method, fault)
    with SemanticCache(embedder=HashingEmbedder(), store=store, lookup_budget_s=0.1) as cache:
        started = perf_counter()
        found = ask(cache, ASKED, use_async=use_async)
        assert perf_counter() - started < PATIENCE_S
        assert isinstance(found, Miss)
        assert found.reason == "store_error"
        assert cache.stats().misses["store_error"] == 1
        assert "secret" not in found.detail + caplog.text


@both_halves
def test_an_entry_of_another_namespace_is_never_served(use_async):
    store = BadStore("get", FOREIGN)
    with SemanticCache(embedder=HashingEmbedder(), store=store) as cache:
        assert not ask(cache, ASKED, use_async=use_async)
    store = BadStore("search", [Candidate(FOREIGN, 1.0)])
    with SemanticCache(embedder=HashingEmbedder(), store=store) as cache:
        assert not ask(cache, ASKED, use_async=use_async)


class BadEmbedder(Embedder):
    name = "bad"
    dimension = 4

    def __init__(self, fault: object) -> None:
        self._fault = fault

    def embed(self, text):
        if isinstance(self._fault, Exception):
            raise self._fault
        return self._fault() if callable(self._fault) else self._fault


EMBEDDER_FAULTS = [
    EmbeddingError("dead"),
    ValueError("a secret question of mine"),
    hang,
    [1.0, 0.0],  # wrong length
    [math.nan, 0.0, 0.0, 0.0],
    [math.inf, -math.inf, 0.0, 0.0],
    "text",
    ["a", "b", "c", "d"],
]


@both_halves
@pytest.mark.parametrize("fault", EMBEDDER_FAULTS, ids=named)
def test_a_misbehaving_embedder_leaves_the_exact_tiers_working(fault, use_async, caplog):
    store = MemoryStore()
    with SemanticCache(embedder=BadEmbedder(fault), store=store, embed_timeout_s=0.1) as cache:
        started = perf_counter()
        found = ask(cache, ASKED, use_async=use_async)
        assert found.reason == "embedder_error"
        assert keep(cache, ASKED, use_async=use_async)
        assert perf_counter() - started < PATIENCE_S
        assert ask(cache, ASKED, use_async=use_async).tier == "hash"
        assert "secret" not in found.detail + caplog.text
    with SemanticCache(embedder=BadEmbedder(fault), store=store) as restarted:
        assert ask(restarted, ASKED, use_async=use_async).tier == "exact"


@both_halves
def test_a_store_that_cannot_write_is_counted_and_memory_serves(use_async):
    with SemanticCache(
        embedder=HashingEmbedder(), store=BadStore("put", StoreError("full")), background_writes=False
    ) as cache:
        assert keep(cache, ASKED, use_async=use_async) is None
        assert cache.stats().counts["store_failed"] == 1
        assert ask(cache, ASKED, use_async=use_async).tier == "hash"


@both_halves
def test_a_dead_store_is_left_alone_told_once_and_asked_again_when_it_lives(use_async, caplog):
    caplog.set_level(logging.WARNING, "semcache_integrations")
    store, events = BadStore("get", StoreError("down")), []
    with SemanticCache(
        embedder=HashingEmbedder(), store=store, hooks=[events.append], similarity_threshold=0.9
    ) as cache:
        for _ in range(FAILURES_TO_OPEN + 20):
            ask(cache, ASKED, use_async=use_async)
        assert store.calls == FAILURES_TO_OPEN
        assert [event.reason for event in events if event.kind == "breaker_open"] == ["store"]
        assert len(caplog.records) == 1
        assert "secret" not in caplog.text
        store.broken = False
        cache._backends.driver._storing.breaker._retry_at = 0.0  # the rest is over
        assert ask(cache, OTHER, use_async=use_async).reason == "not_found"
        assert [event.kind for event in events if event.kind.startswith("breaker")] == [
            "breaker_open",
            "breaker_closed",
        ]
        assert len(caplog.records) == 2


async def test_a_hung_store_does_not_stop_the_event_loop():
    with SemanticCache(embedder=HashingEmbedder(), store=BadStore("get", hang), lookup_budget_s=0.3) as cache:
        ticks = 0
        looking = asyncio.create_task(cache.alookup(ASKED))
        while not looking.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert (await looking).reason == "store_error"
        assert ticks > 3


def test_background_writes_do_not_wait_for_a_slow_store_and_a_full_queue_drops():
    gate = threading.Event()
    store = BadStore("put", gate.wait)
    with SemanticCache(embedder=HashingEmbedder(), store=store, max_pending_writes=2) as cache:
        stored = [cache.store(CacheRequest(f"question {number}"), "answer") for number in range(6)]
        assert stored.count(None) >= 3
        assert cache.stats().counts["dropped"] == stored.count(None)
        gate.set()
        assert cache.flush()


def test_what_is_pending_is_written_before_the_end():
    store = MemoryStore()
    store.in_process = False
    with SemanticCache(embedder=HashingEmbedder(), store=store) as cache:
        for number in range(200):
            assert cache.store(CacheRequest(f"question {number}"), "answer")
    assert store.count() == 200


def test_deleting_waits_for_pending_writes():
    store = MemoryStore()
    store.in_process = False
    with SemanticCache(embedder=HashingEmbedder(), store=store) as cache:
        for number in range(50):
            cache.store(CacheRequest(f"question {number}", model="gpt"), "answer")
        assert cache.invalidate(model="gpt") == 50
        assert store.count() == 0


def test_a_store_that_cannot_delete_says_so_and_memory_forgets_all_the_same():
    with SemanticCache(embedder=HashingEmbedder(), store=BadStore("delete", StoreError("down"))) as cache:
        cache.store(ASKED, "answer")
        cache.flush()
        with pytest.raises(StoreError):
            cache.clear()
        assert cache.stats().entries == 0


def test_a_shared_store_is_swept_now_and_then(clock):
    store = MemoryStore()
    store.in_process = False
    with SemanticCache(embedder=HashingEmbedder(), store=store, clock=clock, ttl_s=10) as cache:
        cache.store(ASKED, "answer")
        clock.advance(1000)
        cache.store(OTHER, "answer")
        cache.flush()
        assert store.count() == 1


@both_halves
def test_a_failing_or_rambling_verifier_refuses(use_async):
    from semcache_integrations import Verifier

    for fault in (RuntimeError("boom"), "yes", hang):

        class Bad(Verifier):
            def verify(self, request, candidate, fault=fault):
                if isinstance(fault, Exception):
                    raise fault
                return fault() if callable(fault) else fault

        with SemanticCache(
            embedder=HashingEmbedder(),
            store=MemoryStore(),
            verifier=Bad(),
            verify_timeout_s=0.1,
            similarity_threshold=0.5,
        ) as cache:
            keep(cache, CacheRequest("the red house"), use_async=use_async)
            assert (
                ask(cache, CacheRequest("the red house please"), use_async=use_async).detail
                == "verifier failed"
            )
