"""What the benchmarks share: a question, vectors, and the budgets that they are held to."""

from __future__ import annotations

import numpy as np

QUESTION = (
    "How do I reset my online banking password when I no longer have access to the phone number that I registered "
    "with, and the branch is closed until Monday morning? Please give me all the steps."
)[:200]


def ours(benchmark, *, budget_us: float | None = None, ratio: float | None = None) -> None:
    """Say that this benchmark is ours, and what it should reach."""
    benchmark.extra_info.update(role="ours", budget_us=budget_us, ratio=ratio)


def unit_vectors(count: int, dimension: int = 384) -> list[list[float]]:
    drawn = np.random.default_rng(7).normal(size=(count, dimension))
    vectors: list[list[float]] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).tolist()
    return vectors
