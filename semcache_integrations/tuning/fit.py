"""FIT: labelled streams -> the coefficients and thresholds of the score. What `semcache tune --fit` runs.

The law: nothing enters the result but the streams that are given, and the same streams give the same numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from semcache_integrations.core.calibration import Calibration
from semcache_integrations.core.scoring import FEATURES
from semcache_integrations.tuning.evidence import Progress
from semcache_integrations.tuning.rehearsal import Outcome, Served, Stream, rehearse

TARGETS = (0.005, 0.01, 0.02, 0.05, 0.10)
"""Wrong hits per hit for which a threshold is found."""

_ORDERS = 5
_SCORES = tuple(1 / (1 + float(np.exp(-logit))) for logit in np.arange(0.0, 6.31, 0.1))
_SLICES = ((None, 1, 0.5), (800, 4, 0.2), (200, 12, 0.15), (50, 40, 0.15))
"""(requests, rehearsals, weight): young caches are sparse, and their neighbourhoods tell less."""

_POLICIES = (None, 0.95, 0.88)  # rules on which evidence is gathered: what is served is never kept
_RIDGE = 1.0
_CONVERGED = 1e-9
_EQUIVALENT = 8_000.0  # rows that all slices of a stream weigh together

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Evidence with what turned out, as arrays of one row a request."""

    features: Floats
    right: Floats
    weights: Floats


def fit(streams: Mapping[str, Stream], progress: Progress = lambda *_: None) -> Calibration:
    """Fit the score to streams.

    First on what a cache that serves nothing sees, then on what that score's own cache sees. A threshold is the
    least score at which no stream, in any of five orders and with 5 % of the comparisons wrong, exceeds the target.
    It does so without recalibration, which is there for questions that are unlike these.

    Args:
        streams: By name; each weighs the same.
        progress: Told how far it is.
    """
    first = _regression(_rows(streams, None, progress))
    model = _regression(_rows(streams, first, progress))
    thresholds = _thresholds(streams, model, progress)
    return Calibration(model.weights, model.bias, thresholds, ", ".join(streams))


def _rows(streams: Mapping[str, Stream], model: Calibration | None, progress: Progress) -> Rows:
    gathered: list[Rows] = []
    total = len(streams) * len(_SLICES)
    for stream in streams.values():
        for requests, count, weight in _SLICES:
            outcomes = list(chain.from_iterable(_gather(stream, model, requests, n) for n in range(count)))
            gathered.append(_weighed(outcomes, weight * _EQUIVALENT))
            progress("gathering evidence", len(gathered), total)
    return Rows(
        np.concatenate([rows.features for rows in gathered]),
        np.concatenate([rows.right for rows in gathered]),
        np.concatenate([rows.weights for rows in gathered]),
    )


def _gather(
    stream: Stream, model: Calibration | None, requests: int | None, number: int
) -> Iterable[Outcome]:
    """Rehearse once; a whole stream under every policy, a slice under one, in turn."""
    policies: Sequence[float | None] = (
        _POLICIES if requests is None else (_POLICIES[number % len(_POLICIES)],)
    )
    for score in policies:
        served = None if model is None or score is None else Served(model, score, recalibrates=False)
        yield rehearse(stream, served, seed=1_000 + number, requests=requests)


def _weighed(outcomes: Sequence[Outcome], weight: float) -> Rows:
    features = np.array([row for outcome in outcomes for row in outcome.evidence]).reshape(-1, len(FEATURES))
    right = np.array([label for outcome in outcomes for label in outcome.right], dtype=float)
    return Rows(features, right, np.full(len(right), weight / max(len(right), 1)))


def _regression(rows: Rows) -> Calibration:
    """Return the weighted ridge logistic regression, by Newton's method (iteratively reweighted least squares)."""
    mean, scale = rows.features.mean(0), rows.features.std(0) + 1e-9
    x = np.column_stack([np.ones(len(rows.right)), (rows.features - mean) / scale])
    ridge = np.eye(x.shape[1]) * _RIDGE
    ridge[0, 0] = 1e-6  # the intercept is free
    solution = np.zeros(x.shape[1])
    for _ in range(60):
        p = 1.0 / (1.0 + np.exp(-x @ solution))
        gradient = x.T @ (rows.weights * (rows.right - p)) - ridge @ solution
        curvature = (x * (rows.weights * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(curvature, gradient)
        solution = solution + step
        if np.abs(step).max() < _CONVERGED:
            break
    weights = solution[1:] / scale
    return Calibration(tuple(map(float, weights)), float(solution[0] - (mean * weights).sum()), ())


def _thresholds(
    streams: Mapping[str, Stream], model: Calibration, progress: Progress
) -> tuple[tuple[float, float], ...]:
    """Return (target, least score that keeps it) for every target that can be kept."""
    known: dict[int, float] = {}

    def worst(at: int) -> float:
        if at not in known:
            known[at] = max(
                rehearse(stream, Served(model, _SCORES[at], recalibrates=False), seed=seed).wrong_per_hit
                for stream in streams.values()
                for seed in range(_ORDERS)
            )
        return known[at]

    found: list[tuple[float, float]] = []
    for done, target in enumerate(TARGETS):
        progress("finding thresholds", done, len(TARGETS))
        at = bisect_left(range(len(_SCORES)), 1, key=lambda at: int(worst(at) <= target))
        if at < len(_SCORES):
            found.append((target, _SCORES[at]))
    progress("finding thresholds", len(TARGETS), len(TARGETS))
    return tuple(found)
