"""LangChain's own suites for caches, on every store that we ship."""

from __future__ import annotations

import pytest
from doubles.fake_qdrant import FakeQdrant
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from semcache_integrations.langchain import LangChainSemanticCache
from semcache_integrations.testing import HashingEmbedder, MemoryStore

STORES = ["hash only", "memory", "edge", "edge on disk", "qdrant", "qdrant through memory"]


@pytest.fixture(params=STORES)
def settings(request, tmp_path):
    """Settings of an empty cache; where the store is the point, memory forgets at once."""
    embedder, asks_store = HashingEmbedder(), {"local_ttl_s": 1e-9}
    if request.param == "hash only":
        yield {"hash_only": True}
    elif request.param == "memory":
        yield {"embedder": embedder, "store": MemoryStore(), **asks_store}
    elif request.param == "edge":
        yield {"embedder": embedder, **asks_store}
    elif request.param == "edge on disk":
        yield {"embedder": embedder, "path": tmp_path / "cache", **asks_store}
    else:
        with FakeQdrant() as server:
            through = {} if "memory" in request.param else {**asks_store, "background_writes": False}
            yield {"embedder": embedder, "url": server.url, "lookup_budget_s": 5.0, **through}


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, settings):
        with LangChainSemanticCache(**settings) as cache:
            yield cache


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, settings):
        async with LangChainSemanticCache(**settings) as cache:
            yield cache
