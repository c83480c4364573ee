"""Traps as another author would set them: what the vetoes refuse of them, and what of true rewordings they keep.

`data/traps.jsonl` was written before the vetoes were tuned on it; `data/traps_later.jsonl` after that, to see how far
they carry to pairs that they were not made for (they refused 91 % of its traps and 97 % of its rewordings passed at
first sight). Banking, support, shops, medicine, finance and operations. Label 0: the answers differ; label 1: one
answer serves both.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from semcache_integrations.core.guards import read, vetoes

DATA = Path(__file__).parent / "data"
ROWS = [
    json.loads(line)
    for name in ("traps.jsonl", "traps_later.jsonl")
    for line in (DATA / name).read_text("utf-8").splitlines()
]
MODEL_THRESHOLD = 0.80
MOST_PASSED = {
    "id": 0.0,
    "number": 0.0,
    "negation": 0.0,
    "person": 0.05,
    "tier": 0.0,
    "fresh": 0.06,
    "action": 0.14,
    "product": 0.0,
    "time": 0.0,
    "place": 0.0,
    "direction": 0.0,
    "comparison": 0.0,
    "condition": 0.0,
    "quantifier": 0.0,
    "modality": 0.15,
    "order": 0.05,
}
"""Share of the traps of a kind that no veto may refuse."""


def passes(row) -> bool:
    return not vetoes(read(row["a"]), read(row["b"]))


TRAPS = [row for row in ROWS if row["label"] == 0]
REWORDINGS = [row for row in ROWS if row["label"] == 1]


def test_the_suite_is_large_and_no_pair_is_trivial():
    assert len(TRAPS) >= 500
    assert len(REWORDINGS) >= 250
    assert all(row["a"].casefold() != row["b"].casefold() for row in ROWS)
    assert len({(row["a"], row["b"]) for row in ROWS}) == len(ROWS)


def test_traps_of_each_kind_are_refused():
    of_kind = Counter(row["kind"] for row in TRAPS)
    passed = Counter(row["kind"] for row in TRAPS if passes(row))
    assert of_kind.keys() == MOST_PASSED.keys()
    assert {kind for kind, size in of_kind.items() if passed[kind] > MOST_PASSED[kind] * size} == set()
    assert passed.total() <= 0.03 * len(TRAPS)


def test_rewordings_are_kept():
    assert sum(map(passes, REWORDINGS)) / len(REWORDINGS) >= 0.98


@pytest.mark.model
def test_with_the_encoder_few_traps_are_served_and_most_rewordings_are(minilm):
    """Both bars of a hit together: similar enough for MiniLM at a low threshold, and refused by no veto."""
    from semcache_integrations.backends.fastembed import FastEmbedEmbedder

    embedder = FastEmbedEmbedder(path=minilm.folder)

    def is_served(row) -> bool:
        one, other = embedder.embed(row["a"]), embedder.embed(row["b"])
        return passes(row) and sum(map(float.__mul__, one, other)) >= MODEL_THRESHOLD

    assert sum(map(is_served, TRAPS)) / len(TRAPS) <= 0.015
    assert sum(map(is_served, REWORDINGS)) / len(REWORDINGS) >= 0.88
