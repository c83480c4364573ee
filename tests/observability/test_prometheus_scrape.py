"""What is read at each scrape: the caches' own statistics, the upstreams' breakers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.observed import open_names, samples

from semcache_integrations import ConfigurationError, SemanticCache
from semcache_integrations.observability import PrometheusMetrics


@pytest.fixture
def small():
    with SemanticCache(hash_only=True, max_entries=2) as one:
        yield one


def test_a_cache_is_read_at_each_scrape(metrics, small):
    metrics.watch(small)
    assert samples(metrics)["semcache_memory_entries", "cache=default"] == 0
    for number in range(5):
        small.put(f"question {number}", "answer")
    assert small.get("question 4") == "answer"
    assert small.get("question 0") is None
    read, stats = samples(metrics), small.stats()
    assert read["semcache_memory_entries", "cache=default"] == stats.entries == 2
    assert read["semcache_memory_bytes", "cache=default"] == stats.size_bytes > 0
    assert read["semcache_memory_evictions_total", "cache=default"] == 3
    assert read["semcache_hit_ratio", "cache=default"] == 0.5


def test_whatever_else_the_cache_counted_is_told_by_its_name(metrics, cache):
    metrics.watch(cache)
    assert samples(metrics)["semcache_counts_total", "cache=default", "count=quarantined"] == 0  # for alerts
    entry = cache.put("What is the capital of France?", "Lyon")
    assert cache.feedback(entry if isinstance(entry, str) else entry.id, correct=False)
    read = samples(metrics)
    for count, value in cache.stats().counts.items():
        assert read["semcache_counts_total", "cache=default", f"count={count}"] == value
    assert read["semcache_counts_total", "cache=default", "count=quarantined"] == 1


def test_scraping_counts_nothing(metrics, small):
    metrics.watch(small)
    small.put("question", "answer")
    small.get("question")
    assert samples(metrics) == samples(metrics)
    assert small.stats().lookups == 1


def test_several_caches_are_told_apart_by_name(metrics, small):
    with SemanticCache(hash_only=True) as other:
        metrics.watch(small, "chat")
        metrics.watch(other, "search")
        metrics.watch(other, "search")  # again: nothing new
        other.put("question", "answer")
        read = samples(metrics)
        with pytest.raises(ConfigurationError, match="another cache is watched as 'chat'"):
            metrics.watch(other, "chat")
    assert (
        read["semcache_memory_entries", "cache=chat"],
        read["semcache_memory_entries", "cache=search"],
    ) == (0, 1)


def test_a_cache_that_is_closed_is_still_read(metrics, small):
    metrics.watch(small)
    small.put("question", "answer")
    small.get("question")
    small.close()
    read = samples(metrics)
    assert read["semcache_memory_entries", "cache=default"] == 0
    assert read["semcache_hit_ratio", "cache=default"] == 1.0


def test_a_cache_whose_statistics_fail_is_missing_and_the_rest_is_there(metrics, small):
    class Broken(SemanticCache):
        def stats(self):
            raise RuntimeError("injected failure")

    with Broken(hash_only=True) as broken:
        metrics.watch(broken, "broken")
        metrics.watch(small, "whole")
        read = samples(metrics)
    assert ("semcache_memory_entries", "cache=broken") not in read
    assert read["semcache_memory_entries", "cache=whole"] == 0
    assert metrics.troubles == {"reading a cache's statistics failed: RuntimeError": 1}


def test_the_upstreams_breakers_are_numbers(metrics):
    states = {"api.openai.com": "closed", "localhost:8000": "half-open", "[::1]:9": "open"}
    metrics.watch_breakers(lambda: states)
    read = samples(metrics)
    found = {upstream: read["semcache_upstream_breaker", f"upstream={upstream}"] for upstream in states}
    assert found == {"api.openai.com": 0, "localhost:8000": 1, "[::1]:9": 2}
    states["localhost:8000"] = "closed"
    assert samples(metrics)["semcache_upstream_breaker", "upstream=localhost:8000"] == 0


def test_upstreams_beyond_the_cap_share_a_label_and_the_worst_state():
    metrics = PrometheusMetrics(models=1)
    metrics.watch_breakers(lambda: {"one": "closed", "two": "open", "three": "closed"})
    read = samples(metrics)
    assert read["semcache_upstream_breaker", "upstream=one"] == 0
    assert read["semcache_upstream_breaker", "upstream=other"] == 2


@pytest.mark.parametrize("states", [{"one": "ajar"}, None])
def test_states_that_cannot_be_read_break_no_scrape(metrics, small, states):
    metrics.watch(small)
    metrics.watch_breakers(lambda: states)
    metrics.watch_breakers(lambda: {"two": "open"})
    read = samples(metrics)
    assert read["semcache_upstream_breaker", "upstream=two"] == 2
    assert read["semcache_memory_entries", "cache=default"] == 0
    assert sum(metrics.troubles.values()) == 1


def test_openmetrics_is_strict_and_reads_it_too(metrics, small):
    metrics.watch(small)
    metrics.watch_breakers(lambda: {"one": "open"})
    names = open_names(metrics)
    assert {"semcache_memory_evictions", "semcache_counts", "semcache_upstream_breaker"} <= names
    assert all(name.startswith("semcache_") for name in names)


def test_a_scrape_among_look_ups_and_new_caches_reads_whole_numbers(metrics, small):
    metrics.watch(small, "c0")
    done = threading.Event()

    def work():
        while not done.is_set():
            small.put("question", "answer")
            small.get("question")

    with ThreadPoolExecutor(3) as threads:
        threads.submit(work)
        threads.submit(work)
        try:
            for number in range(20):
                metrics.watch(small, f"c{number}")
                assert samples(metrics)["semcache_memory_entries", f"cache=c{number}"] <= 2
        finally:
            done.set()
    assert not metrics.troubles


def test_room_for_no_model_is_a_mistake_that_is_told():
    with pytest.raises(ConfigurationError, match="room for one name"):
        PrometheusMetrics(models=0)
