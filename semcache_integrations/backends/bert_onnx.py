"""Builds the ONNX graph of a sentence-transformers BERT encoder from its safetensors weights, without torch.

The graph ends at the token vectors (`last_hidden_state`), where fastembed's pooling begins. Only the installer
imports this module: it needs the extra `offline`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from semcache_integrations.core.errors import ConfigurationError

try:
    import numpy as np
    import onnx
    from numpy.typing import NDArray
    from onnx import TensorProto, helper, numpy_helper
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
except ImportError as exc:
    raise ConfigurationError(
        f"building a model needs {exc.name}: pip install 'semcache-integrations[offline]'"
    ) from exc

OPSET: Final = 20  # the first with Gelu
IR_VERSION: Final = 9  # what onnxruntime 1.17, the oldest that runs opset 20, can read
INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT: Final = "last_hidden_state"
WEIGHTS: Final = "model.safetensors"

PREPROCESSED: Final = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Tells the quantiser that there is nothing to simplify: without it, it warns through the root logger."""

ACTIVATIONS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
}
"""transformers' name of an activation -> the ONNX operator and its attributes."""

LayerDone = Callable[[int, int], None]
"""Called with the number of layers built and of all layers."""


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT encoder, read from its folder.

    Attributes:
        max_tokens: The least of what the position table, the tokenizer and sentence-transformers allow.
    """

    hidden: int
    heads: int
    layers: int
    epsilon: float
    activation: str
    max_tokens: int


def read_shape(folder: Path) -> BertShape:
    """Read the sizes of the encoder in `folder`, and refuse what this module cannot build.

    Raises:
        ConfigurationError: The folder is not a sentence-transformers BERT with mean pooling; says why.
    """
    _require_files(folder)
    config = _read_json(folder / "config.json")
    try:
        _require_bert(folder, config)
        _require_mean_pooling(folder)
        return BertShape(
            hidden=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            layers=int(config["num_hidden_layers"]),
            epsilon=float(config["layer_norm_eps"]),
            activation=config["hidden_act"],
            max_tokens=_window(folder, int(config["max_position_embeddings"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:  # JSON of another shape
        raise _refusal(folder, f"its configuration cannot be understood: {exc!r}") from exc


def build(folder: Path, target: Path, *, layer_done: LayerDone = lambda _done, _total: None) -> BertShape:
    """Write the fp32 ONNX graph of the encoder in `folder` to the file `target`.

    Raises:
        ConfigurationError: The folder is not a sentence-transformers BERT, or lacks weights.
    """
    shape = read_shape(folder)
    graph = _Graph(folder, shape)
    graph.embed_tokens()
    for layer in range(shape.layers):
        graph.add_layer(layer)
        layer_done(layer + 1, shape.layers)
    onnx.save(graph.to_model(), str(target))
    return shape


def quantise(source: Path, target: Path) -> None:
    """Write the int8 form of the fp32 graph `source` to the file `target`: weights int8, activations dynamic."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8)


class _Graph:
    """An ONNX graph that grows by one layer at a time; `self._hidden` names the latest hidden state."""

    def __init__(self, folder: Path, shape: BertShape) -> None:
        self._folder = folder
        self._shape = shape
        self._weights = _load_weights(folder)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._hidden = ""

    def embed_tokens(self) -> None:
        """Sum word, position and type embeddings; turn the attention mask into a bias on the scores."""
        size = self._op("Gather", self._op("Shape", "input_ids"), self._integers("axis_seq", 1), axis=0)
        positions = self._op("Range", self._integers("zero", 0), size, self._integers("step", 1))
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        types = self._op("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        places = self._op("Gather", self._weight("embeddings.position_embeddings.weight"), positions)
        total = self._op("Add", self._op("Add", words, types), places)
        self._hidden = self._norm(total, "embeddings.LayerNorm")
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        mask = self._op("Unsqueeze", mask, self._integers("axes_mask", [1, 2]))
        hidden_tokens = self._op("Sub", self._number("one", 1.0), mask)
        self._bias = self._op("Mul", hidden_tokens, self._number("minus", float(np.finfo(np.float32).min)))

    def add_layer(self, index: int) -> None:
        """Add one transformer layer: attention, then the feed-forward network, each with its residual."""
        prefix = f"encoder.layer.{index}."
        attended = self._linear(
            self._attention(prefix + "attention.self."), prefix + "attention.output.dense"
        )
        summed = self._op("Add", attended, self._hidden)
        middle = self._norm(summed, prefix + "attention.output.LayerNorm")
        operator, attributes = ACTIVATIONS[self._shape.activation]
        wide = self._op(operator, self._linear(middle, prefix + "intermediate.dense"), **attributes)
        summed = self._op("Add", self._linear(wide, prefix + "output.dense"), middle)
        self._hidden = self._norm(summed, prefix + "output.LayerNorm")

    def to_model(self) -> onnx.ModelProto:
        """Return the finished, checked model."""
        self._nodes.append(helper.make_node("Identity", [self._hidden], [OUTPUT]))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"]) for name in INPUTS]
        sizes: list[str | int | None] = ["batch", "seq", self._shape.hidden]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, sizes)
        graph = helper.make_graph(self._nodes, "bert", inputs, [output], list(self._constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        helper.set_model_props(model, PREPROCESSED)
        onnx.checker.check_model(model)
        return model

    def _attention(self, prefix: str) -> str:
        query = self._split_heads(self._linear(self._hidden, prefix + "query"), [0, 2, 1, 3])
        key = self._split_heads(self._linear(self._hidden, prefix + "key"), [0, 2, 3, 1])
        value = self._split_heads(self._linear(self._hidden, prefix + "value"), [0, 2, 1, 3])
        scale = self._number("scale", 1 / math.sqrt(self._shape.hidden // self._shape.heads))
        scores = self._op("Mul", self._op("MatMul", query, key), scale)
        shares = self._op("Softmax", self._op("Add", scores, self._bias), axis=-1)
        context = self._op("Transpose", self._op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return self._op("Reshape", context, self._integers("joined", [0, 0, self._shape.hidden]))

    def _split_heads(self, name: str, order: list[int]) -> str:
        heads = self._shape.heads
        sizes = self._integers("split", [0, 0, heads, self._shape.hidden // heads])
        return self._op("Transpose", self._op("Reshape", name, sizes), perm=order)

    def _linear(self, name: str, prefix: str) -> str:
        product = self._op("MatMul", name, self._weight(prefix + ".weight", transposed=True))
        return self._op("Add", product, self._weight(prefix + ".bias"))

    def _norm(self, name: str, prefix: str) -> str:
        scale, shift = self._weight(prefix + ".weight"), self._weight(prefix + ".bias")
        return self._op("LayerNormalization", name, scale, shift, axis=-1, epsilon=self._shape.epsilon)

    def _op(
        self, operator: str, *inputs: str, **attributes: Any
    ) -> str:  # Any: ONNX attributes are of all kinds
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _weight(self, name: str, *, transposed: bool = False) -> str:
        if name not in self._weights:
            raise _refusal(self._folder, f"{WEIGHTS} has no tensor {name}")
        values = self._weights[name].astype(np.float32)
        return self._constant(name, values.T if transposed else values)

    def _integers(self, name: str, values: int | list[int]) -> str:
        return self._constant(name, np.array(values, dtype=np.int64))

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, dtype=np.float32))

    def _constant(self, name: str, values: NDArray[Any]) -> str:  # Any: the dtype is the caller's business
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.array(values, order="C"), name)
        return name


def _load_weights(folder: Path) -> dict[str, NDArray[Any]]:  # Any: float16, float32 or float64 tensors
    try:
        weights: dict[str, NDArray[Any]] = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, TypeError, KeyError) as exc:  # the last two: a dtype numpy lacks
        raise _refusal(folder, f"{WEIGHTS} cannot be read: {exc}") from exc
    return {name.removeprefix("bert."): values for name, values in weights.items()}


def _require_files(folder: Path) -> None:
    for name in ("config.json", WEIGHTS, "tokenizer.json", "modules.json"):
        if not (folder / name).is_file():
            raise _refusal(folder, f"there is no {name}")


def _require_bert(folder: Path, config: Mapping[str, Any]) -> None:  # Any: parsed JSON
    if config.get("model_type") != "bert":
        raise _refusal(folder, f"its architecture is {config.get('model_type')}, not bert")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise _refusal(folder, "its position embeddings are not absolute")
    if config.get("hidden_act") not in ACTIVATIONS:
        raise _refusal(
            folder, f"its activation {config.get('hidden_act')} is none of {', '.join(ACTIVATIONS)}"
        )


def _require_mean_pooling(folder: Path) -> None:
    modules = _read_json(folder / "modules.json")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _refusal(folder, f"its modules are {', '.join(kinds)}, not Transformer, Pooling, Normalize")
    pooling = _read_json(folder / modules[1]["path"] / "config.json")
    modes = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True]
    if pooling.get("pooling_mode") != "mean" and modes != ["pooling_mode_mean_tokens"]:
        raise _refusal(folder, "its pooling is not the mean over the tokens")


def _window(folder: Path, positions: int) -> int:
    limits = [positions]
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        path = folder / name
        limit = _read_json(path).get(key) if path.is_file() else None
        if isinstance(limit, int) and limit > 0:
            limits.append(limit)
    return min(limits)


def _read_json(path: Path) -> Any:  # Any: parsed JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc


def _refusal(folder: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot build a model from {folder}: {reason}. "
        "Give the folder of a sentence-transformers BERT encoder with mean pooling and safetensors weights"
    )
