"""What a newcomer ran into: each rule here was broken once."""

from __future__ import annotations

import pytest

from semcache_integrations import (
    CacheConfig,
    CacheRequest,
    ConfigurationError,
    Controls,
    Embedder,
    SemanticCache,
)
from semcache_integrations.breaker import FAILURES_TO_OPEN
from semcache_integrations.langchain import LangChainSemanticCache
from semcache_integrations.litellm import LiteLLMSemanticCache


class Dying(Embedder):
    """Remembers one text, and fails on every other one."""

    name, dimension = "dying", 2

    def __init__(self) -> None:
        self.asked = 0

    def recall(self, text):
        return [1.0, 0.0] if text == "remembered" else None

    def embed(self, text):
        self.asked += 1
        raise ConnectionError


def test_a_remembered_vector_says_nothing_of_the_embedder(store):
    embedder = Dying()
    with SemanticCache(embedder=embedder, store=store) as cache:
        for number in range(40):
            cache.lookup(CacheRequest(f"question {number}"))
            assert cache.lookup(CacheRequest("remembered")).reason == "not_found"
    assert embedder.asked == FAILURES_TO_OPEN


def test_every_event_names_the_tenant(embedder, store):
    heard = []
    with SemanticCache(embedder=embedder, store=store, hooks=[heard.append], tenant="acme") as cache:
        with cache.scope(tenant="anna"):
            cache.get("question")
            cache.put("question", "answer")
            cache.get("question")
        cache.get("question")
    assert [event.tenant for event in heard] == ["acme/anna", "acme/anna", "acme/anna", "acme"]


def test_a_tenant_is_a_string_everywhere(cache):
    with pytest.raises(TypeError, match="not 3"), cache.scope(tenant=3):
        pass
    for adapter in (LangChainSemanticCache, LiteLLMSemanticCache):
        with pytest.raises(TypeError, match="not 3"):
            adapter(cache, tenant=3)


def test_adapters_refuse_what_is_no_cache(cache):
    for adapter in (LangChainSemanticCache, LiteLLMSemanticCache):
        with pytest.raises(ConfigurationError, match="not CacheConfig"):
            adapter(CacheConfig())
        with pytest.raises(ConfigurationError, match="drop cache=, or ttl_s"):
            adapter(cache, ttl_s=5)
    with pytest.raises(ConfigurationError, match="Replay"):
        LiteLLMSemanticCache(cache, replay="words")
    with pytest.raises(ConfigurationError, match="hooks"):
        SemanticCache(hash_only=True, hooks=[3])


def test_an_explanation_tells_expired_from_too_old(embedder, store, clock):
    with SemanticCache(embedder=embedder, store=store, clock=clock, ttl_s=100) as cache:
        cache.store(CacheRequest("question"), "answer")
        clock.advance(60)
        young = CacheRequest("question", controls=Controls(max_age_s=50))
        assert next(cache.explain(young).rows())[3] == "too old for this call"
        clock.advance(60)
        assert next(cache.explain(young).rows())[3] == "expired"
