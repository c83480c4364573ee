"""LangChain: our cache beside its own InMemoryCache."""

from __future__ import annotations

import pytest
from beside import QUESTION, ours
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from semcache_integrations.langchain import LangChainSemanticCache
from semcache_integrations.testing import FakeUpstream

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


def model_with(cache, upstream):
    model = ChatOpenAI(model="gpt-4o-mini", base_url=upstream.url, api_key="x", cache=cache)
    model.invoke(QUESTION)
    return model


@pytest.mark.benchmark(group="LangChain: lookup, exact, fresh message")
def test_lookup(benchmark, upstream):
    ours(benchmark, budget_us=15)
    with LangChainSemanticCache(hash_only=True) as cache:
        model = model_with(cache, upstream)
        prompt, about = dumps([HumanMessage(QUESTION)]), model._get_llm_string()
        assert benchmark(cache.lookup, prompt, about)


@pytest.mark.benchmark(group="LangChain: invoke hit")
def test_invoke(benchmark, upstream):
    ours(benchmark, ratio=1.25)
    with LangChainSemanticCache(hash_only=True) as cache:
        model = model_with(cache, upstream)
        assert benchmark(model.invoke, QUESTION).response_metadata["semcache"]["tier"] == "hash"


@pytest.mark.benchmark(group="LangChain: invoke hit")
def test_in_memory_cache(benchmark, upstream):
    model = model_with(InMemoryCache(), upstream)
    assert benchmark(model.invoke, QUESTION)
