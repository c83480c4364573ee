"""The engine: every tier, beside OneLLM's cache, GPTCache and the bare onnxruntime call."""

from __future__ import annotations

import gc

import pytest
from beside import QUESTION, ours, unit_vectors

from semcache_integrations import CacheRequest, Embedder, SemanticCache

pytestmark = pytest.mark.bench

PARAMS = {"temperature": 0.2, "max_tokens": 256}
REQUEST = CacheRequest(QUESTION, model="gpt-4o-mini", params=PARAMS)
ENTRIES = 10_000


class Instant(Embedder):
    """Embeds at no cost, so that what is timed is everything else: a vector for each number, whatever the wording."""

    name, dimension = "instant", 384

    def __init__(self) -> None:
        self._vectors = unit_vectors(ENTRIES)

    def embed(self, text: str) -> list[float]:
        return self._vectors[int(text.rsplit(maxsplit=1)[-1]) % ENTRIES]

    recall = embed


def question(number: int, wording: str = "please tell me all about the order") -> str:
    return f"{wording} {number}"


@pytest.fixture(scope="module")
def memory():
    with SemanticCache(hash_only=True) as cache:
        cache.store(REQUEST, "{}")
        cache.put(QUESTION, "answer")
        yield cache


@pytest.mark.benchmark(group="exact hit in process, 200 characters")
def test_lookup(benchmark, memory):
    ours(benchmark, budget_us=2, ratio=0.4)
    assert benchmark(memory.lookup, REQUEST)


@pytest.mark.benchmark(group="exact hit in process, 200 characters, request built each time")
def test_get(benchmark, memory):
    ours(benchmark)
    assert benchmark(memory.get, QUESTION) == "answer"


@pytest.fixture(scope="module")
def onellm():
    module = pytest.importorskip("onellm.cache")
    cache = module.SimpleCache(module.CacheConfig(hash_only=True))
    messages = [{"role": "user", "content": QUESTION}]
    cache.set("gpt-4o-mini", messages, {"answer": 1}, **PARAMS)
    return lambda: cache.get("gpt-4o-mini", messages, **PARAMS)


@pytest.mark.benchmark(group="exact hit in process, 200 characters")
def test_onellm(benchmark, onellm):
    assert benchmark(onellm)


@pytest.mark.benchmark(group="exact hit in process, 200 characters, request built each time")
def test_onellm_again(benchmark, onellm):
    assert benchmark(onellm)


@pytest.mark.benchmark(group="exact hit in process, 200 characters, request built each time")
def test_gptcache(benchmark, tmp_path):
    pytest.importorskip("gptcache")
    from gptcache import Cache
    from gptcache.adapter.api import get, put
    from gptcache.manager import get_data_manager
    from gptcache.processor.pre import get_prompt

    cache = Cache()
    cache.init(pre_embedding_func=get_prompt, data_manager=get_data_manager(data_path=str(tmp_path / "map")))
    put(QUESTION, "answer", cache_obj=cache)
    assert benchmark(lambda: get(QUESTION, cache_obj=cache)) == "answer"


@pytest.fixture(scope="module", params=[200, 1], ids=["200 namespaces", "1 namespace"])
def full(request):
    """10,000 entries in the embedded store, and nothing in memory."""
    spaces = request.param
    with SemanticCache(embedder=Instant(), vetoes=True, max_entries=1) as cache:
        for number in range(ENTRIES):
            cache.store(CacheRequest(question(number), model=str(number % spaces)), "x" * 800)
        yield cache, spaces


def fresh_rounds(benchmark, cache, requests):
    """Time one call a round, with memory emptied before each."""
    rounds = iter(requests)
    gc.collect()

    def setup():
        cache._hash.clear()
        return (next(rounds),), {}

    return benchmark.pedantic(cache.lookup, setup=setup, rounds=len(requests), iterations=1)


@pytest.mark.benchmark(group="exact hit in the store")
def test_persistent_exact(benchmark, full):
    ours(benchmark, budget_us=15)
    cache, spaces = full
    requests = [CacheRequest(question(n), model=str(n % spaces)) for n in range(2_000)]
    assert fresh_rounds(benchmark, cache, requests).tier == "exact"


@pytest.mark.benchmark(group="semantic hit without the embedding, 10,000 entries")
def test_semantic(benchmark, full):
    cache, spaces = full
    ours(benchmark, budget_us=550 if spaces == 200 else 1_500)
    wording = "please tell me everything about the order"
    requests = [CacheRequest(question(n, wording), model=str(n % spaces)) for n in range(1_000)]
    assert fresh_rounds(benchmark, cache, requests).tier == "semantic"


@pytest.mark.benchmark(group="write, embedding remembered")
def test_write(benchmark):
    ours(benchmark, budget_us=100)
    with SemanticCache(embedder=Instant()) as cache:
        numbers = iter(range(10_000_000))
        benchmark.pedantic(
            cache.store,
            setup=lambda: ((CacheRequest(question(next(numbers)), model="m"), "x" * 800), {}),
            rounds=2_000,
        )


@pytest.mark.model
@pytest.mark.benchmark(group="semantic hit end to end, int8 MiniLM, short question")
def test_semantic_end_to_end(benchmark, minilm):
    ours(benchmark, ratio=1.3)
    with SemanticCache() as cache:
        cache.put("How do I reset my password?", "answer")

        def setup():
            cache._hash.clear()
            cache._backends.embedder._memo.clear()
            return ("How can I reset my password please?",), {}

        assert benchmark.pedantic(cache.get, setup=setup, rounds=500, warmup_rounds=20) == "answer"


@pytest.mark.model
@pytest.mark.benchmark(group="semantic hit end to end, int8 MiniLM, short question")
def test_bare_onnxruntime(benchmark, minilm):
    import numpy as np

    from semcache_integrations.backends.fastembed import FastEmbedEmbedder

    encoder = FastEmbedEmbedder().load()
    ids = np.array([encoder._tokenizer.encode("How can I reset my password please?").ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    benchmark.pedantic(encoder._session.run, args=(None, inputs), rounds=500, warmup_rounds=20)
