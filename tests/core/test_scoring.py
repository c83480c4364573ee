"""The score: what each feature says of a neighbourhood, worked out by hand, and what the score must never do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.calibration import calibration_for
from semcache_integrations.core.guards import read
from semcache_integrations.core.scoring import FEATURES, Neighbour, evidence, probability

ASKED = read("How do I reset my password?")
MINILM = calibration_for("sentence-transformers/all-MiniLM-L6-v2@int8.1-53aa5117")


def seen(*neighbours: tuple[str, float, str], found: int | None = None) -> dict[str, float]:
    near = [Neighbour(read(text), similarity, group) for text, similarity, group in neighbours]
    return dict(zip(FEATURES, evidence(ASKED, near, found or len(near), 10), strict=True))


def test_the_margin_is_to_the_nearest_different_answer_wherever_it_stands():
    around = seen(("a", 0.9, "reset"), ("b", 0.85, "reset"), ("c", 0.7, "change"), ("d", 0.8, "lost"))
    assert around["margin"] == pytest.approx(0.1)
    assert (around["agreeing"], around["answers"], around["second"]) == (2.0, 3.0, 0.85)
    assert around["density"] == pytest.approx(0.8125)


def test_a_sparse_neighbourhood_without_a_different_answer_leaves_it_far_away():
    assert seen(("a", 0.9, "reset"))["margin"] == pytest.approx(0.4)


def test_a_full_neighbourhood_of_one_answer_has_the_next_one_just_behind_it():
    around = seen(*[("a", 0.9 - 0.01 * number, "reset") for number in range(10)])
    assert around["margin"] == pytest.approx(0.9 - (0.81 - 0.05))


def test_votes_count_less_the_further_away_they_are():
    near, far = seen(("a", 0.9, "x"), ("b", 0.89, "y")), seen(("a", 0.9, "x"), ("b", 0.7, "y"))
    assert near["share"] == pytest.approx(1 / (1 + math.exp(-0.2)))
    assert near["share"] < far["share"] < 1.0


def test_the_wording_is_compared_by_content_words_and_letters():
    same = seen(("how to reset my password", 0.9, "x"))
    other = seen(("where is my card", 0.9, "x"))
    assert (same["shared_words"], same["contained"]) == (1.0, 1.0)
    assert (other["shared_words"], other["contained"]) == (0.0, 0.0)
    assert other["shared_letters"] < same["shared_letters"] < 1.0
    assert same["length"] == pytest.approx(math.log1p(5))


def test_refused_neighbours_count_as_neighbours():
    assert seen(("a", 0.9, "x"), found=10)["neighbours"] == 10.0
    assert seen(("a", 0.9, "x"), found=1)["alone"] == pytest.approx(0.81)


def test_the_probability_is_the_logistic_of_the_sum_and_never_overflows():
    assert probability((2.0, -1.0), 0.5, (1.0, 2.5)) == pytest.approx(0.5)
    assert probability((1.0,), 0.0, (-1e6,)) == 0.0
    assert probability((1.0,), 0.0, (1e6,)) == 1.0


@given(
    st.lists(st.tuples(st.floats(0.55, 1.0), st.sampled_from("abc")), min_size=1, max_size=10),
    st.text(max_size=40),
)
def test_every_neighbourhood_has_a_probability(neighbours, text):
    near = [Neighbour(read(text), similarity, group) for similarity, group in neighbours]
    score = MINILM.score(evidence(ASKED, near, len(near), 10))
    assert 0.0 <= score <= 1.0


@pytest.mark.parametrize("near", [0.75, 0.85, 0.95])
def test_a_different_answer_nearby_makes_the_nearest_less_likely(near):
    def score(*others: Neighbour) -> float:
        nearest = Neighbour(read("How can I reset my password?"), near, "reset")
        return MINILM.score(evidence(ASKED, [nearest, *others], 1 + len(others), 10))

    rival = Neighbour(read("How can I change my password?"), near - 0.01, "change")
    ally = Neighbour(read("I want to reset my password"), near - 0.01, "reset")
    assert score(rival) < score(ally)
