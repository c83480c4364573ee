"""Sixteen threads and two hundred tasks on one cache: no error, no lost entry, no answer of another tenant."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from semcache_integrations import CacheRequest, SemanticCache
from semcache_integrations.testing import HashingEmbedder, MemoryStore

TENANTS = [f"tenant-{number}" for number in range(8)]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def question(number: int) -> str:
    return f"{WORDS[number % 10]} {WORDS[number // 10 % 10]} {WORDS[number // 100 % 10]}"


def open_cache(kind: str) -> SemanticCache:
    store = MemoryStore() if kind == "memory" else None
    return SemanticCache(embedder=HashingEmbedder(), store=store, similarity_threshold=0.6, max_entries=300)


@pytest.mark.parametrize("kind", ["memory", "edge"])
def test_threads_share_a_cache(kind):
    with open_cache(kind) as cache:

        def work(worker: int) -> int:
            served = 0
            for number in random.Random(worker).choices(range(200), k=120):
                tenant = TENANTS[worker % 8]
                request = CacheRequest(question(number), tenant=tenant)
                cache.store(request, f"{tenant} {number}")
                found = cache.lookup(request)
                assert found.payload.startswith(tenant + " ")
                served += 1
            return served

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(work, range(16))) == 16 * 120
        stats = cache.stats()
        assert stats.hits == stats.lookups == 16 * 120
        assert "store_failed" not in stats.counts


@pytest.mark.parametrize("kind", ["memory", "edge"])
def test_tasks_share_a_cache(kind):
    async def main() -> None:
        async with open_cache(kind) as cache:

            async def work(worker: int) -> None:
                tenant = TENANTS[worker % 8]
                with cache.scope(tenant=tenant):
                    for number in range(worker, worker + 10):
                        await cache.astore(CacheRequest(question(number)), f"{tenant} {number}")
                        found = await cache.alookup(CacheRequest(question(number) + " please"))
                        assert found.payload.startswith(tenant + " ")

            await asyncio.gather(*(work(worker) for worker in range(200)))
            assert cache.stats().hits == 2000

    asyncio.run(main())
