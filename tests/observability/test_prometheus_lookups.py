"""What a real cache does is what Prometheus reads of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.observed import open_names, samples
from prometheus_client import CollectorRegistry

from semcache_integrations import SemanticCache
from semcache_integrations.core.errors import EmbeddingError
from semcache_integrations.core.models import CacheEvent, CacheRequest
from semcache_integrations.observability import PrometheusMetrics
from semcache_integrations.testing import FaultyStore, HashingEmbedder, MemoryStore

PARIS = "What is the capital of France?"
REWORDED = "What's the capital of France?"


class FailingEmbedder(HashingEmbedder):
    """Fails when told to."""

    fails = False

    def embed(self, text):
        if self.fails:
            raise EmbeddingError("injected failure")
        return super().embed(text)


@pytest.fixture
def faulty():
    return FaultyStore(MemoryStore())


@pytest.fixture
def cache(metrics, faulty, clock):
    with SemanticCache(
        embedder=FailingEmbedder(),
        store=faulty,
        clock=clock,
        similarity_threshold=0.7,
        hooks=[metrics.event],
    ) as one:
        yield one


def lookups(metrics, **wanted) -> float:
    key = ("semcache_lookups_total", *(f"{name}={value}" for name, value in sorted(wanted.items())))
    return samples(metrics).get(key, 0.0)


def test_hits_are_counted_by_tier_and_misses_by_reason(metrics, cache, faulty):
    cache.put(PARIS, "Paris")
    assert cache.get(PARIS) == "Paris"
    assert cache.get(REWORDED) == "Paris"
    assert cache.get("How tall is Mont Blanc?") is None
    with cache.bypass():
        assert cache.get(PARIS) is None
    faulty.fail("get")
    assert cache.get("Who wrote Faust?") is None

    assert lookups(metrics, result="hit", tier="hash", reason="none") == 1
    assert lookups(metrics, result="hit", tier="semantic", reason="none") == 1
    assert lookups(metrics, result="miss", tier="none", reason="rejected") == 1
    assert cache.stats().misses["rejected"] == 1
    assert lookups(metrics, result="miss", tier="none", reason="bypassed") == 1
    assert lookups(metrics, result="miss", tier="none", reason="store_error") == 1


def test_all_that_is_counted_here_agrees_with_the_caches_own_statistics(metrics, cache):
    cache.put(PARIS, "Paris")
    for text in (PARIS, REWORDED, "Who wrote Faust?", "", PARIS):
        cache.get(text)
    read, stats = samples(metrics), cache.stats()
    counted = sum(value for (name, *_), value in read.items() if name == "semcache_lookups_total")
    timed = sum(value for (name, *_), value in read.items() if name == "semcache_lookup_seconds_count")
    assert counted == timed == stats.lookups == 5


def test_similarities_of_hits_and_of_what_was_not_served_are_kept_apart(metrics, cache):
    cache.put(PARIS, "Paris")
    served = cache.lookup(CacheRequest(REWORDED)).similarity
    refused = cache.lookup(CacheRequest("What is the tallest mountain of Asia?")).similarity
    read = samples(metrics)
    assert read["semcache_lookup_similarity_sum", "tier=semantic"] == pytest.approx(served)
    assert read["semcache_lookup_similarity_sum", "tier=none"] == pytest.approx(refused)


def test_a_cosine_just_above_one_is_one_and_one_that_is_no_number_is_left_out(metrics):
    for similarity in (1.0000001, math.nan, math.inf, None):
        metrics.event(CacheEvent("hit", "exact", similarity=similarity))
    read = samples(metrics)
    assert read["semcache_lookup_similarity_bucket", "le=1.0", "tier=exact"] == 1
    assert read["semcache_lookup_similarity_sum", "tier=exact"] == 1.0
    assert lookups(metrics, result="hit", tier="exact", reason="none") == 4


def test_writes_that_were_kept_failed_and_dropped_are_counted(metrics, cache, faulty):
    assert samples(metrics)["semcache_writes_total", "outcome=failed"] == 0  # before anything happened
    cache.put(PARIS, "Paris")
    faulty.fail("put")
    cache.put("Who wrote Faust?", "Goethe")
    metrics.event(CacheEvent("dropped", reason="too many writes are waiting"))
    read = samples(metrics)
    assert [read["semcache_writes_total", f"outcome={one}"] for one in ("stored", "failed", "dropped")] == [
        1,
        1,
        1,
    ]


def test_writes_that_find_the_queue_full_are_counted_as_dropped(metrics, faulty):
    faulty.hang("put")
    with SemanticCache(
        embedder=HashingEmbedder(),
        store=faulty,
        background_writes=True,
        max_pending_writes=1,
        hooks=[metrics.event],
    ) as cache:
        for number in range(4):
            cache.put(f"question {number}", "answer")
        faulty.heal()
        assert cache.flush()
        read = samples(metrics)
        assert read["semcache_writes_total", "outcome=dropped"] == cache.stats().counts["dropped"] >= 1


def test_the_breakers_of_store_and_embedder_open_and_close(metrics, cache, faulty):
    def breaker(name):
        return samples(metrics)["semcache_backend_breaker", f"backend={name}"]

    assert (breaker("store"), breaker("embedder")) == (0, 0)
    faulty.fail()
    for number in range(6):
        cache.get(f"question {number}")
    assert (breaker("store"), breaker("embedder")) == (2, 0)
    metrics.event(CacheEvent("breaker_closed", reason="store"))
    assert breaker("store") == 0


def test_a_failing_embedder_opens_its_own_breaker(metrics, cache):
    cache.put(PARIS, "Paris")
    cache._backends.embedder.fails = True
    for number in range(6):
        cache.get(f"question {number}")
    assert samples(metrics)["semcache_backend_breaker", "backend=embedder"] == 2
    assert lookups(metrics, result="miss", tier="none", reason="embedder_error") >= 5


async def test_awaited_look_ups_are_counted_too(metrics, cache):
    await cache.aput(PARIS, "Paris")
    assert await cache.aget(PARIS) == "Paris"
    assert lookups(metrics, result="hit", tier="hash", reason="none") == 1


def test_events_of_other_kinds_are_nothing_to_it(metrics):
    before = samples(metrics)
    metrics.event(CacheEvent("quarantined", entry_id="e"))
    metrics.event(CacheEvent("a kind of the next version", reason="x"))
    assert samples(metrics) == before
    assert not metrics.troubles


def test_an_event_that_cannot_be_counted_is_counted_as_trouble_and_nothing_is_raised(metrics):
    metrics.event(CacheEvent("hit", "hash", seconds="not a number"))
    assert metrics.troubles == {"counting an event failed: TypeError": 1}


def test_threads_lose_no_count(metrics):
    with SemanticCache(hash_only=True, hooks=[metrics.event]) as cache, ThreadPoolExecutor(8) as threads:
        cache.put(PARIS, "Paris")
        for _ in threads.map(lambda _: cache.get(PARIS), range(4_000)):
            pass
    assert lookups(metrics, result="hit", tier="hash", reason="none") == 4_000


def test_two_of_them_in_one_process_do_not_meet():
    one, other = PrometheusMetrics(), PrometheusMetrics()
    one.event(CacheEvent("hit", "hash"))
    assert lookups(one, result="hit", tier="hash", reason="none") == 1
    assert lookups(other, result="hit", tier="hash", reason="none") == 0


def test_a_registry_of_the_applications_own_takes_them():
    registry = CollectorRegistry(auto_describe=True)
    metrics = PrometheusMetrics(registry)
    metrics.event(CacheEvent("hit", "hash"))
    assert (
        registry.get_sample_value(
            "semcache_lookups_total", {"result": "hit", "tier": "hash", "reason": "none"}
        )
        == 1
    )
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        PrometheusMetrics(registry)


def test_an_empty_registry_of_the_applications_own_is_the_one_that_is_used():
    registry = CollectorRegistry()
    assert PrometheusMetrics(registry).registry is registry


def test_openmetrics_is_given_to_whoever_asks_for_it_and_the_old_text_to_everybody_else(metrics, cache):
    cache.get(PARIS)
    assert "semcache_lookups" in open_names(metrics)
    for accept in ("", "*/*", "text/plain;version=0.0.4", "text/html"):
        assert metrics.exposition(accept)[1].startswith("text/plain")
    for accept in ("application/openmetrics-text", "Application/OpenMetrics-Text; version=?, text/plain"):
        body, content_type = metrics.exposition(accept)
        assert content_type.startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")
