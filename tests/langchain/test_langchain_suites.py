"""LangChain's own conformance suites, on the smallest store and on the default one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite

from semcache_integrations.langchain import LangChainSemanticCache
from semcache_integrations.testing import HashingEmbedder, MemoryStore


class TestSyncOnMemory(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> Iterator[LangChainSemanticCache]:
        with LangChainSemanticCache(embedder=HashingEmbedder(), store=MemoryStore()) as one:
            yield one


class TestAsyncOnMemory(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self) -> AsyncIterator[LangChainSemanticCache]:
        async with LangChainSemanticCache(embedder=HashingEmbedder(), store=MemoryStore()) as one:
            yield one


class TestSyncOnEdge(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> Iterator[LangChainSemanticCache]:
        with LangChainSemanticCache(embedder=HashingEmbedder()) as one:
            yield one


class TestAsyncOnEdge(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self) -> AsyncIterator[LangChainSemanticCache]:
        async with LangChainSemanticCache(embedder=HashingEmbedder()) as one:
            yield one
