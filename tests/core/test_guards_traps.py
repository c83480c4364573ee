"""Traps as another author would set them: what the vetoes refuse of them, and what of true rewordings they keep.

`data/traps.jsonl` was written before the vetoes were tuned on it, in the domains of banking, support, shops,
medicine, finance and operations. Label 0: the answers differ; label 1: one answer serves both.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache_integrations.core.guards import read, vetoes

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "traps.jsonl").read_text("utf-8").splitlines()
]
MODEL_THRESHOLD = 0.80
MOST_PASSED = {"id": 0.0, "number": 0.0, "direction": 0.0, "negation": 0.05}
"""Share of the traps of a kind that no veto may refuse."""


def passes(row) -> bool:
    return not vetoes(read(row["a"]), read(row["b"]))


def shares(rows, counts) -> Iterator[tuple[str, float]]:
    of_kind = Counter(row["kind"] for row in rows)
    counted = Counter(row["kind"] for row in rows if counts(row))
    return ((kind, counted[kind] / size) for kind, size in of_kind.items())


TRAPS = [row for row in ROWS if row["label"] == 0]
REWORDINGS = [row for row in ROWS if row["label"] == 1]


def test_the_suite_is_large_and_no_pair_is_trivial():
    assert len(TRAPS) >= 300
    assert len(REWORDINGS) >= 120
    assert all(row["a"].casefold() != row["b"].casefold() for row in ROWS)
    assert len({(row["a"], row["b"]) for row in ROWS}) == len(ROWS)


def test_traps_of_each_kind_are_refused():
    passed = dict(shares(TRAPS, passes))
    assert {kind: passed[kind] for kind, most in MOST_PASSED.items() if passed[kind] > most} == {}


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

    assert sum(map(is_served, TRAPS)) / len(TRAPS) <= 0.18
    assert sum(map(is_served, REWORDINGS)) / len(REWORDINGS) >= 0.90
