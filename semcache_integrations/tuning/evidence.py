"""What a threshold would have done: pairs counted, streams replayed into a cache that fills as it goes.

The law: everything here is counting on vectors and labels; it knows no target and recommends nothing. A stream is
replayed as the cache itself would: a miss inserts, an exact repeat hits, a look-up sees the `top_k` nearest entries
and takes the first that no veto refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache_integrations.core.acceptance import EPSILON
from semcache_integrations.core.guards import VETOES, Reading, read, vetoes
from semcache_integrations.core.keys import canonical_text
from semcache_integrations.core.models import Vector
from semcache_integrations.tuning.data import Pair, Request

Embed: TypeAlias = Callable[[str], "Vector | None"]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the stage, how much of it is done and how much there is."""

Floats: TypeAlias = NDArray[np.float32]

TOP_K: Final = 10
"""`CacheConfig.top_k`'s default."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Two questions that met.

    Attributes:
        similarity: Their cosine; 0 where the encoder is blind.
        same: Whether they may share an answer; None where nobody said.
        refusals: Every veto that refuses them.
        tag: What kind of pair it is.
    """

    similarity: float
    same: bool | None
    refusals: tuple[str, ...] = ()
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """What one threshold did.

    Attributes:
        hits: Requests answered from the cache, or pairs accepted.
        wrong: Those of another class; 0 in an unlabelled stream.
    """

    hits: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was counted.

    Attributes:
        requests: How many requests or pairs there are.
        reusable: Requests whose class had come before, or duplicate pairs; 0 in an unlabelled stream.
        repeats: Requests that repeat an earlier one to the letter.
        blind: Texts that the encoder cannot see: they have the exact tiers only.
        neighbours: Each pair, or each request with its nearest earlier one.
        plain: One count a threshold, without vetoes.
        vetoed: One count a threshold, with vetoes.
    """

    requests: int
    reusable: int
    repeats: int
    blind: int
    neighbours: tuple[Neighbour, ...]
    plain: tuple[Count, ...]
    vetoed: tuple[Count, ...]


def refusals(asked: Reading, cached: Reading) -> tuple[str, ...]:
    """Return the names of all vetoes that refuse, where `vetoes` stops at the first."""
    if not vetoes(asked, cached):
        return ()
    return tuple(name for name, refuses in VETOES.items() if refuses(asked, cached))


def count_pairs(
    rows: Sequence[Pair], embed: Embed, thresholds: Sequence[float], progress: Progress
) -> Evidence:
    """Count accepted pairs."""
    vectors = embedded([text for row in rows for text in (row.a, row.b)], embed, progress)
    cosines = np.einsum("ij,ij->i", vectors[0::2], vectors[1::2])
    neighbours = tuple(
        _neighbour(row, float(cosine)) for row, cosine in zip(rows, cosines.tolist(), strict=True)
    )
    return Evidence(
        requests=len(rows),
        reusable=sum(row.same for row in rows),
        repeats=sum(canonical_text(row.a) == canonical_text(row.b) for row in rows),
        blind=_blind(vectors),
        neighbours=neighbours,
        plain=tuple(_accepted(neighbours, threshold, vetoed=False) for threshold in thresholds),
        vetoed=tuple(_accepted(neighbours, threshold, vetoed=True) for threshold in thresholds),
    )


def _neighbour(row: Pair, cosine: float) -> Neighbour:
    if canonical_text(row.a) == canonical_text(row.b):
        return Neighbour(1.0, row.same, (), row.tag)
    return Neighbour(cosine, row.same, refusals(read(row.a), read(row.b)), row.tag)


def _accepted(neighbours: Sequence[Neighbour], threshold: float, *, vetoed: bool) -> Count:
    accepted = [
        each
        for each in neighbours
        if each.similarity + EPSILON >= threshold and not (vetoed and each.refusals)
    ]
    return Count(len(accepted), sum(each.same is False for each in accepted))


def replay_stream(
    rows: Sequence[Request],
    embed: Embed,
    thresholds: Sequence[float],
    progress: Progress,
    *,
    top_k: int = TOP_K,
) -> Evidence:
    """Replay a stream at each threshold, without and with vetoes."""
    texts = [canonical_text(row.text) for row in rows]
    vectors = embedded(texts, embed, progress)
    replay = _Replay(texts, [row.label for row in rows], thresholds, top_k)
    neighbours: list[Neighbour] = []
    seen: set[str | None] = {None}
    reusable = 0
    for at, row in enumerate(rows):
        reusable += row.label in seen - {None}
        seen.add(row.label)
        neighbours += replay.ask(at, vectors[:at] @ vectors[at])
        progress("replaying", at + 1, len(rows))
    return Evidence(
        requests=len(rows),
        reusable=reusable,
        repeats=len(texts) - len(set(texts)),
        blind=_blind(vectors),
        neighbours=tuple(neighbours),
        plain=replay.counts(vetoed=False),
        vetoed=replay.counts(vetoed=True),
    )


class _Replay:
    """One cache for each threshold, without and with vetoes, all of them asked the same requests.

    Args:
        texts: Canonical texts of the requests.
        labels: Their classes.
        thresholds: Least cosine of a hit in each cache.
        top_k: Neighbours looked at.
    """

    def __init__(
        self, texts: Sequence[str], labels: Sequence[str | None], thresholds: Sequence[float], top_k: int
    ) -> None:
        self._labels = labels
        self._thresholds = thresholds
        self._top_k = top_k
        self._readings = [read(text) for text in texts]
        keys = {text: key for key, text in enumerate(dict.fromkeys(texts))}
        self._keys = np.array([keys[text] for text in texts], dtype=np.int64)
        self._floor = min(thresholds) - EPSILON
        shape = (2, len(thresholds), len(texts))
        self._kept: NDArray[np.bool_] = np.zeros(shape, dtype=np.bool_)
        self._hits = np.zeros(shape[:2], dtype=np.int64)
        self._wrong = np.zeros(shape[:2], dtype=np.int64)

    def counts(self, *, vetoed: bool) -> tuple[Count, ...]:
        """Return what each threshold did."""
        both = zip(self._hits[int(vetoed)].tolist(), self._wrong[int(vetoed)].tolist(), strict=True)
        return tuple(Count(hits, wrong) for hits, wrong in both)

    def ask(self, at: int, cosines: Floats) -> list[Neighbour]:
        """Look one request up in every cache; return its nearest earlier one, if there is any.

        Args:
            at: Which request.
            cosines: Its similarity to each earlier one.
        """
        cosines = np.where(self._keys[:at] == self._keys[at], np.float32(1.0), cosines)
        near = np.flatnonzero(cosines >= self._floor)
        order = near[np.argsort(-cosines[near], kind="stable")]
        similar = cosines[order]
        refused: dict[int, bool] = {}
        for row, threshold in enumerate(self._thresholds):
            reach = int(np.searchsorted(-similar, -(threshold - EPSILON), side="right"))
            for vetoed in (0, 1):
                kept = order[:reach][self._kept[vetoed, row, order[:reach]]][: self._top_k]
                self._settle(vetoed, row, at, self._first(at, kept.tolist(), refused, vetoed=bool(vetoed)))
        return [self._meeting(at, int(order[0]), float(similar[0]))] if len(order) else []

    def _first(self, at: int, kept: list[int], refused: dict[int, bool], *, vetoed: bool) -> int | None:
        if not vetoed:
            return kept[0] if kept else None
        for entry in kept:
            if entry not in refused:
                refused[entry] = bool(vetoes(self._readings[at], self._readings[entry]))
            if not refused[entry]:
                return entry
        return None

    def _settle(self, vetoed: int, row: int, at: int, served: int | None) -> None:
        if served is None:
            self._kept[vetoed, row, at] = True
            return
        self._hits[vetoed, row] += 1
        self._wrong[vetoed, row] += self._labels[served] != self._labels[at]

    def _meeting(self, at: int, nearest: int, similarity: float) -> Neighbour:
        same = None if self._labels[at] is None else self._labels[at] == self._labels[nearest]
        return Neighbour(similarity, same, refusals(self._readings[at], self._readings[nearest]))


def embedded(texts: Sequence[str], embed: Embed, progress: Progress) -> Floats:
    """Embed every text once; a text to which the encoder is blind becomes zeros, similar to nothing."""
    seen: dict[str, Vector | None] = {}
    for done, text in enumerate(texts, start=1):
        if text not in seen:
            seen[text] = embed(text)
        progress("embedding", done, len(texts))
    width = next((len(vector) for vector in seen.values() if vector is not None), 1)
    matrix = np.zeros((len(texts), width), dtype=np.float32)
    for at, text in enumerate(texts):
        vector = seen[text]
        if vector is not None:
            matrix[at] = vector
    return matrix


def _blind(vectors: Floats) -> int:
    return int(np.count_nonzero(~vectors.any(axis=1)))
