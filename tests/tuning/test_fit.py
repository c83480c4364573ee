"""Fitting: a score that is fitted to a small world must tell its right neighbours from its wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

from semcache_integrations.core.calibration import Calibration
from semcache_integrations.core.scoring import FEATURES
from semcache_integrations.tuning.fit import TARGETS, fit
from semcache_integrations.tuning.rehearsal import Served, Stream, rehearse

_WORDS = [
    "apple",
    "bridge",
    "candle",
    "dragon",
    "engine",
    "forest",
    "garden",
    "hammer",
    "island",
    "jungle",
    "kettle",
    "ladder",
]


def world(seed: int, classes: int = 12, per_class: int = 25, spread: float = 0.35) -> Stream:
    """Clusters of unit vectors; questions of one class share a word, so no veto stands between them."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(classes, 16))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    labels = [str(number % classes) for number in range(classes * per_class)]
    vectors = centres[[int(label) for label in labels]] + chance.normal(size=(len(labels), 16)) * spread / 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"tell me about the {_WORDS[int(label)]}" for label in labels]
    return Stream(texts, labels, vectors.astype(np.float32))


@pytest.fixture(scope="module")
def fitted():
    return fit({"one": world(1), "two": world(2, spread=0.5)})


def test_a_fitted_score_serves_most_repeats_and_hardly_a_wrong_one(fitted):
    outcome = rehearse(world(3), Served(fitted, fitted.threshold(0.05)), seed=7)
    assert outcome.hits > 0.5 * outcome.requests
    assert outcome.wrong_per_hit <= 0.05


def test_thresholds_rise_as_targets_fall(fitted):
    scores = [score for _, score in fitted.thresholds]
    assert {target for target, _ in fitted.thresholds} <= set(TARGETS)
    assert scores == sorted(scores, reverse=True)


def test_the_same_streams_give_the_same_numbers(fitted):
    assert fit({"one": world(1), "two": world(2, spread=0.5)}) == fitted


def test_progress_is_told_to_its_end():
    told: list[tuple[str, int, int]] = []
    fit({"one": world(1, per_class=6)}, lambda *step: told.append(step))
    assert told[-1][1] == told[-1][2] > 0


def test_what_is_served_is_not_kept_and_what_is_not_served_is():
    stream = world(4, classes=2, per_class=3, spread=0.0)
    anything = Served(Calibration((0.0,) * len(FEATURES), 0.0, ()), score=0.5)
    everything = rehearse(stream, anything, noise=0.0)
    nothing = rehearse(stream, None, noise=0.0)
    assert (everything.requests, everything.hits, everything.wrong) == (6, 4, 0)
    assert (nothing.hits, len(nothing.evidence)) == (0, 4)
    assert nothing.wrong_per_hit == 0.0
