"""Fixtures around embedding models: a home for them, and a tiny one made of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers.implementations import BertWordPieceTokenizer

HIDDEN, LAYERS, WINDOW = 32, 2, 48
TINY_CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "max_position_embeddings": 64,
}


@pytest.fixture
def model_home(tmp_path, monkeypatch) -> Path:
    """An empty model directory of the test's own; fastembed's own cache is empty too."""
    home = tmp_path / "models"
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(home))
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path / "fastembed"))
    return home


@pytest.fixture
def tiny_bert(tmp_path) -> Path:
    """A sentence-transformers folder of a BERT with random weights: 32 dimensions, a window of 48 tokens."""
    folder = tmp_path / "tiny-bert"
    (folder / "1_Pooling").mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!'"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "what", "how", "password"]
    vocabulary = {word: index for index, word in enumerate([*words, *letters, *("##" + c for c in letters)])}
    tokenizer = BertWordPieceTokenizer(vocabulary)
    tokenizer.enable_padding(length=None)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(_random_weights(len(vocabulary)), folder / "model.safetensors")
    _write(folder / "config.json", TINY_CONFIG)
    _write(folder / "tokenizer_config.json", {"model_max_length": 512, "pad_token": "[PAD]"})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": WINDOW})
    _write(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True, "include_prompt": True})
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    _write(
        folder / "modules.json",
        [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in modules],
    )
    return folder


def _random_weights(vocabulary: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (vocabulary, HIDDEN),
        "embeddings.position_embeddings.weight": (64, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        linear = {
            "attention.self.query": (32, 32),
            "attention.self.key": (32, 32),
            "attention.self.value": (32, 32),
        }
        linear |= {
            "attention.output.dense": (32, 32),
            "intermediate.dense": (64, 32),
            "output.dense": (32, 64),
        }
        linear |= {"attention.output.LayerNorm": (32,), "output.LayerNorm": (32,)}
        for name, shape in linear.items():
            shapes[f"{prefix}{name}.weight"], shapes[f"{prefix}{name}.bias"] = shape, shape[:1]
    return {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
