"""LangChain streams: a replayed hit beside LangChain's own floor, a model that has its chunks ready."""

from __future__ import annotations

import pytest
from beside import QUESTION, ours
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from semcache_integrations.core.replay import Replay, split
from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache
from semcache_integrations.testing import FakeUpstream

pytestmark = pytest.mark.bench

TEXT = " ".join(f"word{number}" for number in range(200))
PER_WORD = Replay("words", 1)  # 200 chunks


class Ready(ChatOpenAI):
    """Streams what it has: all that LangChain does about a stream, and nothing else."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for word in split(TEXT, PER_WORD):
            yield ChatGenerationChunk(message=AIMessageChunk(word))


@pytest.fixture(scope="module")
def floor():
    return Ready(model="gpt-4o-mini", api_key="x")


@pytest.fixture(scope="module")
def wrapped():
    with FakeUpstream(lambda question: TEXT) as upstream, LangChainSemanticCache(hash_only=True) as cache:
        model = with_semantic_cache(
            ChatOpenAI(model="gpt-4o-mini", base_url=upstream.url, api_key="x"), cache, replay=PER_WORD
        )
        model.invoke(QUESTION)
        yield model


def whole(model):
    return sum(1 for _ in model.stream(QUESTION))


def first(model):
    stream = model.stream(QUESTION)
    chunk = next(stream)
    stream.close()
    return chunk


@pytest.mark.benchmark(group="LangChain: a replayed stream of 200 chunks")
def test_replayed_stream(benchmark, wrapped):
    ours(benchmark, ratio=1.25)
    assert benchmark(whole, wrapped) > 200


@pytest.mark.benchmark(group="LangChain: a replayed stream of 200 chunks")
def test_model_with_its_chunks_ready(benchmark, floor):
    assert benchmark(whole, floor) > 200


@pytest.mark.benchmark(group="LangChain: to the first replayed token")
def test_first_replayed_token(benchmark, wrapped):
    ours(benchmark, ratio=2.5)
    assert benchmark(first, wrapped).text == "word0 "


@pytest.mark.benchmark(group="LangChain: to the first replayed token")
def test_first_token_of_a_model_with_its_chunks_ready(benchmark, floor):
    assert benchmark(first, floor).text == "word0 "


@pytest.mark.benchmark(group="LangChain: invoke hit of a wrapped model")
def test_wrapped_invoke(benchmark, wrapped):
    ours(benchmark, ratio=1.5)
    assert benchmark(wrapped.invoke, QUESTION).response_metadata["semcache"]["tier"] == "hash"


@pytest.mark.benchmark(group="LangChain: invoke hit of a wrapped model")
def test_invoke_hit_of_set_llm_cache(benchmark):
    with FakeUpstream(lambda question: TEXT) as upstream, LangChainSemanticCache(hash_only=True) as cache:
        model = ChatOpenAI(model="gpt-4o-mini", base_url=upstream.url, api_key="x", cache=cache)
        model.invoke(QUESTION)
        assert benchmark(model.invoke, QUESTION).response_metadata["semcache"]["tier"] == "hash"
