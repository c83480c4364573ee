"""LangChain's global cache, set for one test; a provider on this machine; nobody's API keys."""

from __future__ import annotations

import pytest
from doubles.langchain_calls import provider as serving
from doubles.langchain_scripted import MANY, Misses, Script, Scripted
from doubles.langchain_texts import ASKED
from langchain_core.globals import set_llm_cache

from semcache_integrations import SemanticCache
from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache
from semcache_integrations.testing import HashingEmbedder, MemoryStore


@pytest.fixture(autouse=True)
def keys_of_nobody(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-nobody")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def adapter(cache):
    """The adapter on the engine that every test uses, set as LangChain's global cache."""
    one = LangChainSemanticCache(cache)
    set_llm_cache(one)
    yield one
    set_llm_cache(None)


@pytest.fixture
def kept(cache):
    """The adapter on the engine that every test uses, set nowhere."""
    return LangChainSemanticCache(cache)


@pytest.fixture
def wrapped(kept):
    """Wrap a model with that adapter; no text model has been asked anything yet."""
    ASKED.clear()
    return lambda model, **settings: with_semantic_cache(model, kept, **settings)


@pytest.fixture
def provider():
    with serving() as one:
        yield one


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def misses():
    return Misses(MANY)


@pytest.fixture
def scripted(script, misses):
    """The scripted model, wrapped; its cache tells when twenty look-ups have missed."""
    with SemanticCache(
        embedder=HashingEmbedder(), store=MemoryStore(), similarity_threshold=0.75, hooks=[misses]
    ) as cache:
        yield with_semantic_cache(Scripted(script=script), LangChainSemanticCache(cache))
