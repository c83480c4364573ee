"""A loaded model: text in, unit vector out, None where it is blind. Finds no files and remembers nothing.

A model from the hub is run by fastembed, which knows its pooling and its padding. Our own builds are always
the mean over the tokens, so onnxruntime runs them directly, one text at a time: the same vectors (a test
compares them), without the 38 MB and the 0.3 s that importing fastembed costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from semcache_integrations.backends.blind_spots import BlindSpots, knows_other_scripts
from semcache_integrations.backends.model_files import InstalledModel
from semcache_integrations.backends.vectors import has_text
from semcache_integrations.core.errors import EmbeddingError

if TYPE_CHECKING:
    from fastembed import TextEmbedding

T = TypeVar("T")

UNKNOWN_TOKENS: Final = ("[UNK]", "<unk>")
MODEL_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
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
        self._session: onnxruntime.InferenceSession = None
        self._embedding: TextEmbedding | None = None
        if model.manifest.variant == "hub":
            self._embedding = _load(model, _open_with_fastembed)
            inner: Any = self._embedding.model  # Any: fastembed does not type `tokenizer`
            self._tokenizer: Tokenizer = inner.tokenizer
        else:
            self._session, self._tokenizer = _load(model, _open_build)
        self._tokenizer.no_truncation()  # beyond the window we refuse; both would cut the text silently
        self._blind_spots = _blind_spots(self._tokenizer, model.manifest.max_tokens)

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
            if self._embedding is not None:
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


def _load(model: InstalledModel, opened: Callable[[Path, str], T]) -> T:
    onnxruntime.set_default_logger_severity(ORT_ERRORS_ONLY)
    try:
        return opened(model.folder, model.manifest.name)
    except Exception as exc:  # onnxruntime's and tokenizers' errors share no base class but this
        raise EmbeddingError(
            f"{model.folder} cannot be loaded ({type(exc).__name__}); see: semcache model status"
        ) from exc


def _open_with_fastembed(folder: Path, name: str) -> TextEmbedding:
    from fastembed import TextEmbedding

    return TextEmbedding(name, specific_model_path=str(folder), threads=1)


def _open_build(folder: Path, _name: str) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = (
        1  # more only spin: measured slower under load
    )
    session = onnxruntime.InferenceSession(
        str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    return session, tokenizer


def _blind_spots(tokenizer: Tokenizer, max_tokens: int) -> BlindSpots:
    ids = [tokenizer.token_to_id(token) for token in UNKNOWN_TOKENS]
    return BlindSpots(
        max_tokens=max_tokens,
        unknown_id=next((known for known in ids if known is not None), None),
        fragments_matter=not knows_other_scripts(tokenizer.get_vocab()),
    )
