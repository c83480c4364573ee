"""A fake embedder without weights, and the suite that every `Embedder` must pass. Needs no test framework.

The suite's methods are named for pytest, which collects any subclass called `Test…`; they call each other
through nothing but `Embedder`.
"""
# ruff: noqa: S101 - a conformance suite is made of assertions

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from semcache_integrations.backends.vectors import UNIT_TOLERANCE, has_text, to_unit
from semcache_integrations.core.models import Vector
from semcache_integrations.protocols import Embedder

DEFAULT_DIMENSION: Final = 256
WORD: Final = re.compile(r"\w+")


class HashingEmbedder(Embedder):
    """Embeds a text as the set of its words, each hashed to a place and a sign: deterministic, instant, coarse.

    Texts with the same words in any order have similarity 1, texts without a common word about 0. A text
    without words has no vector.
    """

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        self.name = f"hashing-{dimension}"
        self.dimension = dimension

    def embed(self, text: str) -> list[float] | None:
        """Return the unit vector of `text`'s words, None if it has none."""
        if not has_text(text):
            return None
        vector = [0.0] * self.dimension
        for word in WORD.findall(text.lower()):
            digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            vector[(digest >> 1) % self.dimension] += 1.0 if digest & 1 else -1.0
        return to_unit(vector, self.dimension, name=self.name) if any(vector) else None


class EmbedderSuite:
    """What every `Embedder` must do. Subclass it, say how yours is made, and let pytest collect it.

    Example:
        class TestMyEmbedder(EmbedderSuite):
            def make_embedder(self) -> Embedder:
                return MyEmbedder()

    Attributes:
        texts: Sentences that the embedder under test can see, all different.
    """

    texts: tuple[str, ...] = (
        "How do I reset my password?",
        "What is the capital of France?",
        "The recipe needs two eggs and flour.",
        "Why is the sky blue?",
    )

    def make_embedder(self) -> Embedder:
        """Return the embedder under test."""
        raise NotImplementedError

    def test_names_its_vector_space(self) -> None:
        """A name and a dimension: the cache keys on both."""
        embedder = self.make_embedder()
        assert embedder.name
        assert embedder.dimension > 0

    def test_returns_unit_vectors_of_its_dimension(self) -> None:
        """Stores compare by dot product, so length 1 is not optional."""
        embedder = self.make_embedder()
        for text in self.texts:
            vector = _seen(embedder.embed(text))
            assert len(vector) == embedder.dimension
            assert abs(math.hypot(*vector) - 1.0) < UNIT_TOLERANCE

    def test_is_deterministic(self) -> None:
        """The same text has the same vector, also in a second embedder, whose memo is empty."""
        first, second = self.make_embedder(), self.make_embedder()
        for text in self.texts:
            assert _near(_seen(first.embed(text)), _seen(first.embed(text)))
            assert _near(_seen(first.embed(text)), _seen(second.embed(text)))

    def test_tells_texts_apart(self) -> None:
        """Different texts have different vectors."""
        embedder = self.make_embedder()
        vectors = {tuple(_seen(embedder.embed(text))) for text in self.texts}
        assert len(vectors) == len(self.texts)

    def test_a_blank_text_has_no_vector(self) -> None:
        """All blank texts would look alike."""
        embedder = self.make_embedder()
        assert [embedder.embed(text) for text in ("", "   ", "\n\t")] == [None] * 3

    def test_threads_may_share_it(self) -> None:
        """The same answers from eight threads as from one."""
        expected = [_seen(self.make_embedder().embed(text)) for text in self.texts]
        embedder = self.make_embedder()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(embedder.embed, self.texts * 8))
        for answer, vector in zip(answers, expected * 8, strict=True):
            assert _near(_seen(answer), vector)

    def test_the_async_twin_gives_the_same(self) -> None:
        """`aembed` differs from `embed` by `await` alone."""
        expected = [self.make_embedder().embed(text) for text in (*self.texts, " ")]
        embedder = self.make_embedder()

        async def embed_all() -> list[Vector | None]:
            return list(await asyncio.gather(*(embedder.aembed(text) for text in (*self.texts, " "))))

        *answers, blank = asyncio.run(embed_all())
        assert blank is None
        for answer, vector in zip(answers, expected, strict=False):
            assert _near(_seen(answer), _seen(vector))


def _seen(vector: Vector | None) -> Vector:
    assert vector is not None, "the embedder is blind to a text of the suite: set `texts`"
    return vector


def _near(left: Vector, right: Vector) -> bool:
    return math.dist(left, right) < UNIT_TOLERANCE
