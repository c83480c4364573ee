"""A loaded model: text in, unit vector out, None where it is blind. Finds no files and remembers nothing.

The only module that imports fastembed, onnxruntime and numpy to embed; import it when a model is loaded.
Our own builds are run on fastembed's session and tokenizer with one text at a time: no padding, no second
tokenisation, the same vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from numpy.typing import NDArray

from semcache_integrations.backends.blind_spots import BlindSpots, knows_other_scripts
from semcache_integrations.backends.model_files import InstalledModel
from semcache_integrations.backends.vectors import has_text
from semcache_integrations.core.errors import EmbeddingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN_TOKENS: Final = ("[UNK]", "<unk>")
MODEL_FILE: Final = "model.onnx"
ORT_ERRORS_ONLY: Final = 3
"""onnxruntime's log severity: its warnings are about graph optimisations and GPUs that nobody asked for."""


class Encoder:
    """One session of one model. Thread-safe; onnxruntime releases the GIL while it runs.

    Raises:
        EmbeddingError: The files cannot be loaded.
    """

    def __init__(self, model: InstalledModel) -> None:
        self.name = model.manifest.identity
        self.dimension = model.manifest.dimension
        self._embedding = _open(model)
        inner: Any = self._embedding.model  # Any: fastembed types neither `tokenizer` nor `model` here
        self._tokenizer: Tokenizer = inner.tokenizer
        self._tokenizer.no_truncation()  # beyond the window we refuse; fastembed would cut the text silently
        self._blind_spots = _blind_spots(self._tokenizer, model.manifest.max_tokens)
        ours = model.manifest.variant != "hub"  # then the pooling is known: the mean over the tokens
        self._session: onnxruntime.InferenceSession | None = inner.model if ours else None

    def embed(self, text: str) -> list[float] | None:
        """Return the unit vector of `text`, or None where the encoder is blind.

        Raises:
            EmbeddingError: The model failed, or its vector is not finite.
        """
        if not has_text(text) or self._blind_spots.too_long(text):
            return None
        encoding = self._tokenizer.encode(text)
        ids = encoding.ids
        if self._blind_spots.hide(text, ids, () if text.isascii() else encoding.offsets):
            return None
        return self._unit(self._run(text, ids))

    def embed_blindly(self, text: str) -> list[float]:
        """Return the unit vector of `text` even where `embed` would refuse: to check that a model works.

        Raises:
            EmbeddingError: The model failed, or its vector is not finite.
        """
        return self._unit(self._run(text, self._tokenizer.encode(text).ids))

    def _run(self, text: str, ids: Sequence[int]) -> NDArray[np.float32]:
        try:
            if self._session is None:
                return np.asarray(next(iter(self._embedding.embed([text]))), dtype=np.float32)
            return _sum_of_tokens(self._session, ids)
        except Exception as exc:  # onnxruntime's errors share no base class but this
            raise EmbeddingError(f"{self.name} failed: {type(exc).__name__}") from exc

    def _unit(self, vector: NDArray[np.float32]) -> list[float]:
        if vector.shape != (self.dimension,):
            raise EmbeddingError(f"{self.name} returned {vector.shape} numbers instead of {self.dimension}")
        length = math.sqrt(vector.dot(vector))
        if not math.isfinite(length) or length == 0.0:
            raise EmbeddingError(f"{self.name} returned a vector that is not finite, or all zero")
        unit: list[float] = (vector / length).tolist()
        return unit


def _sum_of_tokens(session: onnxruntime.InferenceSession, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return the sum over the tokens' vectors: at unit length it is their mean, and costs a tenth."""
    tokens = np.array([ids], dtype=np.int64)
    inputs = {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }
    total: NDArray[np.float32] = np.add.reduce(session.run(None, inputs)[0][0], axis=0)
    return total


def _open(model: InstalledModel) -> TextEmbedding:
    onnxruntime.set_default_logger_severity(ORT_ERRORS_ONLY)
    name = model.manifest.name if model.manifest.variant == "hub" else _register(model)
    try:
        return TextEmbedding(name, specific_model_path=str(model.folder), threads=1)
    except Exception as exc:  # onnxruntime's and tokenizers' errors share no base class but this
        raise EmbeddingError(
            f"{model.folder} cannot be loaded ({type(exc).__name__}); see: semcache model status"
        ) from exc


def _register(model: InstalledModel) -> str:
    """Make one of our builds known to fastembed, whose registry belongs to the process and refuses repeats."""
    name = model.manifest.identity
    if all(known["model"] != name for known in TextEmbedding.list_supported_models()):
        TextEmbedding.add_custom_model(
            name,
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf=model.manifest.name),  # one is required, and never asked
            dim=model.manifest.dimension,
            model_file=MODEL_FILE,
        )
    return name


def _blind_spots(tokenizer: Tokenizer, max_tokens: int) -> BlindSpots:
    ids = [tokenizer.token_to_id(token) for token in UNKNOWN_TOKENS]
    return BlindSpots(
        max_tokens=max_tokens,
        unknown_id=next((known for known in ids if known is not None), None),
        fragments_matter=not knows_other_scripts(tokenizer.get_vocab()),
    )
