"""Anybody's embedding model as an `Embedder`: unit vectors or an error, asked once, never through our own cache."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array

import litellm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from litellm.caching.caching import Cache

from semcache_integrations.backends.embedders import (
    CallableEmbedder,
    LangChainEmbedder,
    LiteLLMEmbedder,
    as_embedder,
)
from semcache_integrations.backends.vectors import NOT_REMEMBERED, VectorMemo, to_unit
from semcache_integrations.core.errors import ConfigurationError, EmbeddingError
from semcache_integrations.testing import EmbedderSuite, HashingEmbedder

# litellm imports the modules of a provider at the first call, and pydantic warns about one of its types
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning")

hashing = HashingEmbedder(64)


def embed_words(text):
    """A named function, as users have them."""
    return [3.0 * number for number in hashing.embed(text)]


class CountingEmbeddings(Embeddings):
    """A LangChain model that counts how it is asked."""

    model = "counting-1"

    def __init__(self, answer=(3.0, 4.0)):
        self.answer = answer
        self.sync, self.asynchronous = 0, 0

    def embed_documents(self, texts):
        raise NotImplementedError

    def embed_query(self, text):
        self.sync += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aembed_query(self, text):
        self.asynchronous += 1
        return self.answer


class TestHashing(EmbedderSuite):
    def make_embedder(self):
        return HashingEmbedder()


class TestCallable(EmbedderSuite):
    def make_embedder(self):
        return CallableEmbedder(embed_words, name="words")


class TestLangChain(EmbedderSuite):
    def make_embedder(self):
        return LangChainEmbedder(DeterministicFakeEmbedding(size=48))


def test_the_fake_ignores_the_order_of_words_and_nothing_else():
    one, same, other = map(hashing.embed, ("cats chase mice", "Mice chase cats!", "rain in spain"))
    assert one == same
    assert abs(math.fsum(a * b for a, b in zip(one, other, strict=True))) < 0.5
    assert hashing.embed("?!") is None


def test_an_unknown_dimension_is_asked_for_once():
    model = CountingEmbeddings()
    embedder = LangChainEmbedder(model)
    assert (embedder.dimension, model.sync) == (2, 1)
    assert LangChainEmbedder(model, dimension=2).dimension == 2
    assert model.sync == 1


def test_a_model_that_does_not_answer_the_probe_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="dimension="):
        LangChainEmbedder(CountingEmbeddings(RuntimeError("no key")))
    with pytest.raises(ConfigurationError, match="dimension="):
        CallableEmbedder(lambda text: None, name="nothing")


def test_vectors_are_normalised():
    assert LangChainEmbedder(CountingEmbeddings()).embed("x") == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    "answer",
    [
        [1.0],
        [1.0, 2.0, 3.0],
        [0.0, 0.0],
        [math.nan, 1.0],
        [math.inf, 1.0],
        None,
        "ab",
        [None, 1.0],
        RuntimeError("!"),
    ],
)
def test_what_is_no_vector_is_an_embedding_error(answer):
    embedder = LangChainEmbedder(CountingEmbeddings(answer), dimension=2)
    with pytest.raises(EmbeddingError):
        embedder.embed("a question")
    with pytest.raises(EmbeddingError):  # and it is not remembered
        embedder.embed("a question")


@pytest.mark.parametrize("answer", [(3, 4), np.array([3.0, 4.0], np.float32), array("f", [3, 4])])
def test_any_sequence_of_numbers_is_a_vector(answer):
    assert LangChainEmbedder(CountingEmbeddings(answer), dimension=2).embed("x") == pytest.approx([0.6, 0.8])


def test_an_error_quotes_no_prompt():
    embedder = LangChainEmbedder(CountingEmbeddings(ValueError("bad input: my secret")), dimension=2)
    with pytest.raises(EmbeddingError) as caught:
        embedder.embed("my secret")
    assert "secret" not in str(caught.value)


async def test_a_text_is_embedded_once_whichever_half_asks():
    model = CountingEmbeddings()
    embedder = LangChainEmbedder(model, dimension=2)
    first = await embedder.aembed("x")
    assert embedder.embed("x") == first == await embedder.aembed("x")
    assert (model.sync, model.asynchronous) == (0, 1)


@pytest.mark.parametrize("text", ["", " \t", "\ud800"])
async def test_a_text_without_anything_to_embed_is_never_sent(text):
    model = CountingEmbeddings()
    embedder = LangChainEmbedder(model, dimension=2)
    assert embedder.embed(text) is None
    assert await embedder.aembed(text) is None
    assert (model.sync, model.asynchronous) == (0, 0)


def test_the_name_tells_models_apart():
    other = CountingEmbeddings()
    other.model = "counting-2"
    names = {LangChainEmbedder(model).name for model in (CountingEmbeddings(), CountingEmbeddings(), other)}
    assert len(names) == 2
    assert LangChainEmbedder(other, name="mine").name == "mine"


class Recording(Cache):
    """A LiteLLM cache that is never to be asked about embeddings."""

    def __init__(self):
        super().__init__(type="local")
        self.asked = []

    def get_cache(self, *args, **kwargs):
        self.asked.append(kwargs.get("input"))
        return super().get_cache(*args, **kwargs)

    async def async_get_cache(self, *args, **kwargs):
        self.asked.append(kwargs.get("input"))
        return await super().async_get_cache(*args, **kwargs)

    def add_cache(self, *args, **kwargs):
        self.asked.append(kwargs.get("input"))

    async def async_add_cache(self, *args, **kwargs):
        self.asked.append(kwargs.get("input"))

    async def async_add_cache_pipeline(self, *args, **kwargs):
        self.asked.append(kwargs.get("input"))


@pytest.fixture
def recording(monkeypatch):
    """A LiteLLM with a cache of our making switched on."""
    cache = Recording()
    monkeypatch.setattr(litellm, "cache", cache)
    return cache


MOCK = {"mock_response": [3.0, 4.0], "api_key": "none"}


async def test_litellm_never_asks_its_own_cache_for_our_embeddings(recording):
    """Our cache is LiteLLM's cache: a look-up that embeds through it would look itself up for ever."""
    embedder = LiteLLMEmbedder("openai/text-embedding-3-small", dimension=2, **MOCK)
    assert embedder.embed("sync") == pytest.approx([0.6, 0.8])
    assert await embedder.aembed("async") == pytest.approx([0.6, 0.8])
    assert recording.asked == []
    await litellm.aembedding(model="openai/text-embedding-3-small", input=["theirs"], caching=True, **MOCK)
    assert recording.asked  # the recorder does record


def test_litellm_cannot_be_told_to_cache(recording):
    LiteLLMEmbedder("openai/text-embedding-3-small", dimension=2, caching=True, **MOCK).embed("x")
    assert recording.asked == []


def test_litellm_names_hold_what_selects_the_space_and_no_secret():
    embedder = LiteLLMEmbedder("openai/text-embedding-3-small", dimension=2, dimensions=256, api_key="sk-1")
    assert embedder.name == "litellm:openai/text-embedding-3-small:256"


def test_litellm_reports_a_provider_that_fails():
    embedder = LiteLLMEmbedder("no-such-provider/x", dimension=2)
    with pytest.raises(EmbeddingError, match="litellm:no-such-provider/x failed"):
        embedder.embed("x")


def test_as_embedder_takes_whatever_embeds(monkeypatch):
    assert as_embedder(hashing) is hashing
    assert isinstance(as_embedder(DeterministicFakeEmbedding(size=8)), LangChainEmbedder)
    assert isinstance(as_embedder(embed_words), CallableEmbedder)
    assert as_embedder(embed_words).name.endswith(".embed_words")
    with pytest.raises(ConfigurationError, match="semcache model install some/model"):
        as_embedder("some/model")
    with pytest.raises(ConfigurationError, match="litellm:no-such/model"):
        as_embedder("litellm:no-such/model")


async def embed_later(text):
    return [1.0, 2.0]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [(lambda text: [1.0], "name="), (embed_later, "async"), (3, "int does not embed"), (None, "NoneType")],
)
def test_as_embedder_refuses_what_has_no_name_or_does_not_embed(source, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        as_embedder(source)


def test_frameworks_are_imported_only_when_used():
    code = "import sys, semcache_integrations.backends.embedders, semcache_integrations.testing; "
    code += "print({'litellm', 'langchain_core', 'numpy', 'fastembed', 'onnxruntime'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "set()\n"


def test_the_memo_forgets_the_least_recently_used():
    memo = VectorMemo(2)
    memo.put("a", [1.0])
    memo.put("b", None)
    assert memo.get("a") == [1.0]
    memo.put("c", [3.0])
    assert memo.get("b") is NOT_REMEMBERED
    assert memo.get("a") == [1.0]
    assert memo.get("c") == [3.0]


def test_the_memo_remembers_that_there_is_no_vector():
    memo = VectorMemo()
    assert memo.get("x") is NOT_REMEMBERED
    memo.put("x", None)
    assert memo.get("x") is None


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(finite, min_size=1, max_size=50).filter(any))
def test_any_finite_vector_but_zero_becomes_a_unit_vector(numbers):
    unit = to_unit(numbers, len(numbers), name="n")
    assert math.isclose(math.hypot(*unit), 1.0, rel_tol=1e-9)
    assert all(a == 0 or b == 0 or (a > 0) == (b > 0) for a, b in zip(unit, numbers, strict=True))
