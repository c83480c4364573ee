"""The ONNX graph computes what BERT computes, and what is not such a BERT is refused by name."""

from __future__ import annotations

import json
import math

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from semcache_integrations.backends import bert_onnx
from semcache_integrations.core.errors import ConfigurationError

TOKENS = np.array([[2, 5, 9, 12, 30, 3], [2, 8, 7, 3, 0, 0]], dtype=np.int64)
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], dtype=np.int64)


def run(path, tokens=TOKENS, mask=MASK):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    return session.run(None, inputs)[0]


def forward(folder, tokens, mask):
    """BERT's forward pass in plain numpy, after the paper (Devlin et al. 2018, arXiv:1810.04805)."""
    weights = {
        name: values.astype(np.float64) for name, values in load_file(folder / "model.safetensors").items()
    }
    erf = np.vectorize(math.erf)

    def linear(x, name):
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[name + ".weight"] + weights[name + ".bias"]

    def heads(x):
        return x.reshape(*x.shape[:2], 4, 8).transpose(0, 2, 1, 3)

    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(2):
        name = f"encoder.layer.{layer}."
        q, k, v = (heads(linear(x, f"{name}attention.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(8) + np.where(mask == 1, 0, -1e30)[:, None, None]
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        context = (scores / scores.sum(-1, keepdims=True)) @ v
        context = context.transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(context, name + "attention.output.dense"), name + "attention.output.LayerNorm")
        wide = linear(x, name + "intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        x = norm(x + linear(wide, name + "output.dense"), name + "output.LayerNorm")
    return x


def test_the_graph_equals_a_plain_numpy_forward_pass(tiny_bert, tmp_path):
    shape = bert_onnx.build(tiny_bert, tmp_path / "model.onnx")
    expected = forward(tiny_bert, TOKENS, MASK)
    found = run(tmp_path / "model.onnx")
    assert (shape.hidden, shape.max_tokens) == (32, 48)
    assert np.abs(found - expected)[MASK == 1].max() < 1e-4


def test_padding_changes_nothing(tiny_bert, tmp_path):
    bert_onnx.build(tiny_bert, tmp_path / "model.onnx")
    alone = run(tmp_path / "model.onnx", TOKENS[1:, :4], MASK[1:, :4])
    assert np.abs(run(tmp_path / "model.onnx")[1, :4] - alone[0]).max() < 1e-5


def test_quantising_keeps_directions_and_warns_nobody(tiny_bert, tmp_path, caplog):
    bert_onnx.build(tiny_bert, tmp_path / "model.onnx")
    bert_onnx.quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx")
    exact, quantised = run(tmp_path / "model.onnx")[0], run(tmp_path / "int8.onnx")[0]
    cosines = (
        (exact * quantised).sum(-1) / np.linalg.norm(exact, axis=-1) / np.linalg.norm(quantised, axis=-1)
    )
    assert not np.array_equal(exact, quantised)
    assert cosines.min() > 0.95
    assert [record for record in caplog.records if record.name == "root"] == []  # where onnxruntime logs to


def test_half_precision_and_prefixed_weights_build_the_same_model(tiny_bert, tmp_path):
    bert_onnx.build(tiny_bert, tmp_path / "model.onnx")
    weights = load_file(tiny_bert / "model.safetensors")
    save_file(
        {f"bert.{k}": v.astype(np.float16) for k, v in weights.items()}, tiny_bert / "model.safetensors"
    )
    bert_onnx.build(tiny_bert, tmp_path / "half.onnx")
    assert np.abs(run(tmp_path / "model.onnx") - run(tmp_path / "half.onnx"))[MASK == 1].max() < 0.05


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "modules.json"])
def test_a_missing_file_is_named(tiny_bert, tmp_path, name):
    (tiny_bert / name).unlink()
    with pytest.raises(ConfigurationError, match=f"no {name}"):
        bert_onnx.build(tiny_bert, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_type": "roberta"}, "roberta, not bert"),
        ({"hidden_act": "swish"}, "activation swish"),
        ({"position_embedding_type": "relative_key"}, "not absolute"),
        ({"hidden_size": None}, "cannot be understood"),
    ],
)
def test_another_architecture_is_refused(tiny_bert, tmp_path, change, complaint):
    config = json.loads((tiny_bert / "config.json").read_text()) | change
    (tiny_bert / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=complaint):
        bert_onnx.build(tiny_bert, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("pooling", "built"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, True),
        ({"pooling_mode": "mean"}, True),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, False),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, False),
        ({"pooling_mode": "cls"}, False),
        ({}, False),
    ],
)
def test_only_mean_pooling_is_built(tiny_bert, tmp_path, pooling, built):
    (tiny_bert / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if built:
        assert bert_onnx.build(tiny_bert, tmp_path / "model.onnx").layers == 2
    else:
        with pytest.raises(ConfigurationError, match="pooling"):
            bert_onnx.build(tiny_bert, tmp_path / "model.onnx")


def test_a_model_with_more_modules_is_refused(tiny_bert, tmp_path):
    modules = json.loads((tiny_bert / "modules.json").read_text())
    modules.insert(2, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (tiny_bert / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigurationError, match="Dense"):
        bert_onnx.build(tiny_bert, tmp_path / "model.onnx")


def test_a_missing_tensor_is_named(tiny_bert, tmp_path):
    weights = load_file(tiny_bert / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, tiny_bert / "model.safetensors")
    with pytest.raises(ConfigurationError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        bert_onnx.build(tiny_bert, tmp_path / "model.onnx")


def test_weights_that_are_cut_short_are_refused(tiny_bert, tmp_path):
    content = (tiny_bert / "model.safetensors").read_bytes()
    (tiny_bert / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        bert_onnx.build(tiny_bert, tmp_path / "model.onnx")
