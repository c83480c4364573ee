"""LiteLLM: our cache beside its own in-memory cache, and beside a cache that costs nothing at all."""

from __future__ import annotations

import time

import litellm
import pytest
from beside import QUESTION, ours
from litellm.caching.caching import Cache

from semcache_integrations.litellm import LiteLLMSemanticCache
from semcache_integrations.testing import FakeUpstream

pytestmark = [
    pytest.mark.bench,
    pytest.mark.filterwarnings("ignore"),
]  # LiteLLM's own; time is what counts here
MESSAGES = [{"role": "user", "content": QUESTION}]
ANSWER = " ".join(f"word{number}" for number in range(240))


class Free(Cache):
    """The least that LiteLLM needs of a cache: a ready answer."""

    kept = None

    def get_cache(self, **_):
        return self.kept

    def get_cache_key(self, **_):
        return "key"

    def add_cache(self, result, **_):
        self.kept = result


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream(answer=lambda _: ANSWER) as running:
        yield running


def caller(cache, upstream, monkeypatch, **how):
    monkeypatch.setattr(litellm, "cache", cache)

    def call():
        reply = litellm.completion("openai/gpt-4o-mini", MESSAGES, api_base=upstream.url, api_key="x", **how)
        return sum(1 for _ in reply) if how else reply

    call()
    time.sleep(0.2)  # LiteLLM writes what it streamed behind the caller's back
    return call


@pytest.mark.benchmark(group="LiteLLM: completion hit")
def test_ours(benchmark, upstream, monkeypatch):
    ours(benchmark, ratio=0.9)
    call = caller(LiteLLMSemanticCache(hash_only=True), upstream, monkeypatch)
    assert benchmark(call)._hidden_params["cache_hit"]


@pytest.mark.benchmark(group="LiteLLM: completion hit")
def test_local_cache(benchmark, upstream, monkeypatch):
    assert benchmark(caller(Cache(type="local"), upstream, monkeypatch))._hidden_params["cache_hit"]


@pytest.mark.benchmark(group="LiteLLM: completion hit")
def test_a_cache_that_costs_nothing(benchmark, upstream, monkeypatch):
    assert benchmark(caller(Free(type="local"), upstream, monkeypatch))


@pytest.mark.benchmark(group="LiteLLM: CPU of a replayed stream, 240 words", timer=time.process_time)
def test_our_stream(benchmark, upstream, monkeypatch):
    ours(benchmark, ratio=0.15)
    call = caller(LiteLLMSemanticCache(hash_only=True), upstream, monkeypatch, stream=True)
    benchmark.pedantic(call, rounds=10)


@pytest.mark.benchmark(group="LiteLLM: CPU of a replayed stream, 240 words", timer=time.process_time)
def test_local_cache_stream(benchmark, upstream, monkeypatch):
    benchmark.pedantic(caller(Cache(type="local"), upstream, monkeypatch, stream=True), rounds=10)
