"""The default embedder: found without a network or not at all, loaded once, equal to fastembed, never silent."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from semcache_integrations.backends import encoder as encoder_module
from semcache_integrations.backends.fastembed import FastEmbedEmbedder
from semcache_integrations.backends.model_install import install
from semcache_integrations.core.errors import ConfigurationError, EmbeddingError
from semcache_integrations.testing import EmbedderSuite

OFFLINE = """
import sys, time
from semcache_integrations.backends.fastembed import FastEmbedEmbedder
started = time.perf_counter()
try:
    FastEmbedEmbedder()
except Exception as error:
    print(type(error).__name__, error)
print("seconds", time.perf_counter() - started)
print("heavy", {"fastembed", "onnxruntime", "numpy"} & set(sys.modules))
"""


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.fixture
def tiny(model_home, tiny_bert):
    """An embedder on the tiny model, through the real installer."""
    install("tiny", source=tiny_bert)
    return FastEmbedEmbedder("tiny")


def test_a_missing_model_is_reported_at_once_with_the_command(model_home):
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, timeout=60, check=True
    )
    error, hint, seconds, heavy = run.stdout.splitlines()
    assert error.startswith("ConfigurationError the embedding model sentence-transformers/all-MiniLM-L6-v2")
    assert error.endswith("run: semcache model install")
    assert "semcache-integrations[offline]" in hint
    assert "hash_only=True" in hint
    assert float(seconds.split()[1]) < 1.0  # fastembed alone takes 39 to 72 s
    assert heavy == "heavy set()"
    assert run.stderr == ""


def test_the_hint_names_the_model_and_variant_that_are_missing(model_home):
    with pytest.raises(ConfigurationError, match="run: semcache model install --variant fp32 some/model"):
        FastEmbedEmbedder("some/model", variant="fp32")


def test_a_folder_that_is_no_installed_model_is_refused(tiny_bert):
    with pytest.raises(ConfigurationError, match="not an installed model"):
        FastEmbedEmbedder(path=tiny_bert)


def test_construction_loads_nothing_and_the_first_embedding_loads_once(tiny, monkeypatch):
    loads = []

    class Counting(encoder_module.Encoder):
        def __init__(self, model):
            loads.append(model)
            time.sleep(0.05)  # long enough for eight threads to meet here
            super().__init__(model)

    monkeypatch.setattr(encoder_module, "Encoder", Counting)
    assert loads == []
    with ThreadPoolExecutor(8) as threads:
        vectors = list(threads.map(tiny.embed, ["how what"] * 8))
    assert len(loads) == 1
    assert all(vector == vectors[0] for vector in vectors)


def test_a_model_in_a_folder_of_its_own_is_the_same_vector_space(tiny, tmp_path):
    shutil.copytree(tiny._model.folder, tmp_path / "moved")
    moved = FastEmbedEmbedder(path=tmp_path / "moved")
    assert moved.name == tiny.name
    assert moved.embed("what password") == tiny.embed("what password")


def test_two_models_in_one_process_do_not_mix(tiny, tiny_bert):
    install("tiny", source=tiny_bert, variant="fp32")
    exact = FastEmbedEmbedder("tiny", variant="fp32")
    assert FastEmbedEmbedder("tiny").name == tiny.name != exact.name
    assert tiny.embed("how what") != exact.embed("how what")
    assert dot(tiny.embed("how what"), exact.embed("how what")) > 0.9


def test_the_memo_answers_without_the_model_and_gives_a_fresh_list(tiny):
    first = tiny.embed("how what")
    tiny._encoder = None
    tiny.load = None  # whoever asks the model now fails
    first[0] = 99.0
    again = tiny.embed("how what")
    assert again[0] != 99.0
    assert math.isclose(math.hypot(*again), 1.0, abs_tol=1e-6)


async def test_the_async_half_remembers_too(tiny):
    vector = await tiny.aembed("how what")
    tiny.load = None
    assert await tiny.aembed("how what") == vector == tiny.embed("how what")


async def test_a_closed_embedder_opens_again(tiny):
    vector = await tiny.aembed("how what")
    tiny.close()
    assert await tiny.aembed("how what") == vector


def test_a_broken_model_file_is_an_embedding_error(tiny):
    model = tiny._model.folder / "model.onnx"
    model.write_bytes(bytes(model.stat().st_size))
    with pytest.raises(EmbeddingError, match="semcache model status"):
        tiny.embed("how what")


def test_a_vector_that_is_not_finite_is_an_embedding_error(tiny):
    encoder = tiny.load()
    encoder._session = type("Broken", (), {"run": lambda *_: [np.full((1, 3, 32), np.nan, np.float32)]})()
    with pytest.raises(EmbeddingError, match="not finite"):
        tiny.embed("how what")
    encoder._session = object()
    with pytest.raises(EmbeddingError, match="AttributeError"):
        tiny.embed("how what")


@pytest.mark.parametrize("text", ["", " \n", "\ud800", "the " * 47, "the" * 700, "дом", "what ☃"])
def test_blank_broken_long_and_unknown_texts_have_no_vector(tiny, text):
    assert tiny.embed(text) is None
    assert tiny.embed(text) is None


def test_the_longest_text_within_the_window_has_one(tiny):
    assert tiny.embed("the " * 46) is not None


def test_nothing_is_cut_off_silently(tiny):
    """Two texts that differ at the end of the window differ in their vectors."""
    assert dot(tiny.embed("the " * 45 + "how"), tiny.embed("the " * 45 + "password")) < 0.99999


@pytest.mark.model
class TestMiniLM(EmbedderSuite):
    """The real weights, int8, through the whole suite."""

    @pytest.fixture(autouse=True)
    def _installed(self, minilm):
        self.folder = minilm.folder

    def make_embedder(self):
        return FastEmbedEmbedder(path=self.folder)


def _in_fastembed(folder):
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        "ours/minilm",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="never-asked"),
        dim=384,
        model_file="model.onnx",
    )
    return TextEmbedding("ours/minilm", specific_model_path=str(folder), threads=1)


@pytest.mark.model
def test_minilm_equals_fastembeds_own_pipeline(minilm):
    encoder = FastEmbedEmbedder(path=minilm.folder).load()
    fastembed = _in_fastembed(minilm.folder)
    for text in (*EmbedderSuite.texts, "def f(x): return x", "word " * 200, "a"):
        (own,) = fastembed.embed([text])
        assert np.abs(np.array(encoder.embed(text)) - own).max() < 1e-5


@pytest.mark.model
def test_minilm_puts_paraphrases_together_and_other_questions_apart(minilm):
    embedder = FastEmbedEmbedder(path=minilm.folder)
    france = embedder.embed("What is the capital of France?")
    assert dot(france, embedder.embed("Tell me France's capital city")) > 0.85
    assert dot(france, embedder.embed("How do I boil an egg?")) < 0.3
    assert embedder.dimension == 384
    assert embedder.max_tokens == 256
    assert embedder.name == "sentence-transformers/all-MiniLM-L6-v2@int8.1-53aa5117"


@pytest.mark.model
def test_what_fastembed_downloaded_itself_is_found(minilm, model_home, tmp_path):
    """The layout of the hub's cache, as fastembed 0.9 writes it."""
    snapshot = (
        tmp_path / "fastembed" / "models--Qdrant--all-MiniLM-L6-v2-onnx" / "snapshots" / "5f1b8cd78bc4fb44"
    )
    shutil.copytree(minilm.folder, snapshot)
    embedder = FastEmbedEmbedder()
    assert embedder.name == "sentence-transformers/all-MiniLM-L6-v2@hub-5f1b8cd7"
    assert dot(embedder.embed("hello"), FastEmbedEmbedder(path=minilm.folder).embed("hello")) > 0.9999
    (snapshot / "model.onnx").unlink()
    with pytest.raises(ConfigurationError, match="not installed"):
        FastEmbedEmbedder()
