"""What all embedders share: which texts have no vector at all, unit length, a memo of recent vectors.

Plain Python and the standard library only: an embedder that talks to a remote model needs no numpy.
"""

from __future__ import annotations

import hashlib
import math
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from semcache_integrations.core.errors import EmbeddingError

UNIT_TOLERANCE: Final = 1e-4
"""How far from 1 the length of a "unit" vector may lie: float32 rounding over some thousand dimensions."""

DEFAULT_MEMO_ENTRIES: Final = 1_024


class NotRemembered:
    """The type of `NOT_REMEMBERED`: None is an answer (the encoder is blind), so it cannot say "no answer"."""


NOT_REMEMBERED: Final = NotRemembered()


def has_text(text: str) -> bool:
    """Whether there is anything to embed: not blank, and made of characters that can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: tokenizers and JSON both refuse it
        return False
    return bool(text.strip())


def to_unit(values: Iterable[float], dimension: int, *, name: str) -> list[float]:
    """Return `values` at unit length.

    Args:
        values: What the model `name` answered: a list, an array, anything that yields numbers.
        dimension: How many there must be.
        name: The embedder's name, for the error's message.

    Raises:
        EmbeddingError: They are not that many finite numbers, or all are zero.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError) as exc:
        raise EmbeddingError(f"{name} returned no vector of numbers") from exc
    if len(numbers) != dimension:
        raise EmbeddingError(f"{name} returned {len(numbers)} numbers instead of {dimension}")
    length = math.hypot(*numbers)
    if not math.isfinite(length) or length == 0.0:
        raise EmbeddingError(f"{name} returned a vector that is not finite, or all zero")
    return [number / length for number in numbers]


class VectorMemo:
    """The vectors of recent texts, least recently used first out; safe to share between threads.

    A look-up that misses is followed by a store of the same text: the memo makes that one embedding. It
    keeps a digest of each text and the bare doubles of each vector, so its size is bounded by
    `max_entries` x 8 bytes x the dimension (3 MB for MiniLM), however long the texts are.
    """

    def __init__(self, max_entries: int = DEFAULT_MEMO_ENTRIES) -> None:
        self._max_entries = max_entries
        self._vectors: OrderedDict[bytes, array[float] | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str) -> list[float] | NotRemembered | None:
        """Return the vector of `text` as a fresh list, None if the encoder is blind to it."""
        key = _digest(text)
        with self._lock:
            if key not in self._vectors:
                return NOT_REMEMBERED
            self._vectors.move_to_end(key)
            vector = self._vectors[key]
        return None if vector is None else vector.tolist()

    def put(self, text: str, vector: list[float] | None) -> None:
        """Remember the vector of `text`."""
        kept = None if vector is None else array("d", vector)
        with self._lock:
            self._vectors[_digest(text)] = kept
            while len(self._vectors) > self._max_entries:
                self._vectors.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._vectors.clear()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
