"""The bound of `verified`: what is served wrongly stays below delta, and doubt always means asking."""

from __future__ import annotations

import math
import random
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from semcache_integrations.core.verified import (
    KEPT,
    SEPARATED_VARIANCES,
    _most_likely,
    explore_probability,
    observed,
    probability_right,
)

cosines = st.integers(0, 1_000).map(lambda thousandths: thousandths / 1_000)
labels = st.lists(st.tuples(cosines, st.booleans()), max_size=70)
fitted = st.lists(st.tuples(cosines, st.booleans()), min_size=4, max_size=40)
deltas = st.floats(0.001, 0.5)
no_cosines = st.sampled_from([math.nan, math.inf, -math.inf, 37.0, -2.0, 1e300])

paper_rule = partial(explore_probability, least=0.0)

RIGHT_AT_90 = ((0.9, True),) * 6
BOTH = ((0.7, False), (0.72, False), (0.8, True), (0.79, False), (0.9, True), (0.95, True), (0.78, True))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(np.clip(-x, -700.0, 700.0)))


def history(rng, length, truth, lowest=0.5):
    """Return what an entry sees whose answers are right with probability `truth(s)`."""
    drawn = [round(rng.uniform(lowest, 1.0), 3) for _ in range(length)]
    return tuple((s, rng.random() < truth(s)) for s in drawn)


def logistic(slope, middle):
    return lambda s: float(sigmoid(np.float64(slope * (s - middle))))


def paper_fit(seen):
    """Fit the published formulae literally, in numpy: (b0, b1, variance of t), None if H cannot be inverted."""
    s, y = (np.array(column, float) for column in zip((0.0, False), (1.0, True), *seen, strict=True))
    x = np.stack([np.ones_like(s), s], axis=1)
    b, loss, gain = np.zeros(2), len(s) * math.log(2), 1.0
    while gain > 1e-8:
        p = sigmoid(x @ b)
        b = b + np.linalg.lstsq(x.T @ ((p * (1 - p))[:, None] * x), x.T @ (y - p), rcond=None)[0]
        new = float(np.sum(np.logaddexp(0, x @ b) - y * (x @ b)))
        loss, gain = new, loss - new
    if s[y == 1].min() > s[y == 0].max():
        return (*b, SEPARATED_VARIANCES[min(len(s) - 6, len(SEPARATED_VARIANCES) - 1)])
    slope, p = max(b[1], 1e-6), sigmoid(x @ b)
    toward = np.array([-1 / slope, b[0] / slope**2])
    hessian = x.T @ ((p * (1 - p))[:, None] * x)
    return None if np.linalg.cond(hessian) > 1e12 else (*b, float(toward @ np.linalg.inv(hessian) @ toward))


def paper_tau(seen, similarity, delta):
    """Return the published tau, with its clipping of t and its floor under the slope."""
    fit = paper_fit(seen)
    if len(seen) < 4 or fit is None:
        return 1.0
    slope = max(fit[1], 1e-6)
    eps = np.linspace(1e-6, 1 - 1e-6, 50)
    quantile = np.array([NormalDist().inv_cdf(1 - each) for each in eps])
    middle = np.clip(np.clip(-fit[0] / slope, 0, 1) + quantile * math.sqrt(max(fit[2], 0.0)), 0, 1)
    alpha = (1 - eps) * sigmoid(slope * (round(similarity, 3) - middle))
    return float(np.clip((1 - delta / (1 - alpha)).min(), 0, 1))


def live(truth, *, delta, requests, seed, lowest=0.6, rule=explore_probability):
    """Live the life of one entry; return (served, wrongly served, served in the second half)."""
    rng, seen, served = random.Random(seed), (), []
    for turn in range(requests):
        s = rng.uniform(lowest, 1.0)
        right = rng.random() < truth(s)
        if rng.random() > rule(seen, s, delta=delta):
            served.append((turn, right))
        else:
            seen = observed(seen, s, same=right)
    return len(served), sum(not right for _, right in served), sum(2 * turn >= requests for turn, _ in served)


class TestAgainstThePaper:
    def test_agrees_with_the_published_formulae_on_300_states(self):
        """Tolerances: what an earlier sketch reached against the published system, of which no code is used."""
        rng, apart, agreed, draws = random.Random(20), [], 0, 0
        while len(apart) < 300:
            truth = logistic(10 ** rng.uniform(0.7, 2.0), rng.uniform(0.4, 0.95))
            seen = history(rng, rng.randint(4, 40), truth)
            s, delta = round(rng.uniform(0.5, 1.0), 3), rng.choice([0.01, 0.02, 0.05])
            ours, theirs = paper_rule(seen, s, delta=delta), paper_tau(seen, s, delta)
            if probability_right(seen, s) is None:
                assert ours == 1.0
                continue
            apart.append(abs(ours - theirs))
            for _ in range(10):
                u = rng.random()
                agreed, draws = agreed + ((u > ours) == (u > theirs)), draws + 1
        apart.sort()
        assert apart[150] <= 3e-5
        assert apart[285] <= 0.012
        assert agreed / draws >= 0.993

    @given(fitted, cosines, deltas)
    def test_departs_from_the_formulae_towards_asking_only(self, seen, similarity, delta):
        assert (
            explore_probability(seen, similarity, delta=delta) >= paper_tau(seen, similarity, delta) - 0.012
        )

    def test_the_formulae_alone_break_their_bound_on_an_entry_that_is_mostly_wrong(self):
        """Clipping t at 1 and flooring the slope claims one half where a tenth is right; this code does not."""

        def share(rule):
            runs = [live(lambda s: 0.1, delta=0.05, requests=500, seed=seed, rule=rule) for seed in range(3)]
            return sum(wrong for _, wrong, _ in runs) / 1_500

        assert share(paper_tau) > 0.06
        assert share(explore_probability) <= 0.05


class TestDoubtMeansAsking:
    @given(labels, st.floats(-2, 2), deltas)
    def test_tau_is_a_probability_and_leaves_room_for_being_wrong(self, seen, similarity, delta):
        assert 0.0 <= explore_probability(seen, similarity, delta=delta) <= 1.0
        right = probability_right(seen, similarity)
        assert right is None or 0.0 <= right < 1.0

    @given(labels, cosines, deltas, deltas)
    def test_a_greater_delta_never_explores_more(self, seen, similarity, one, other):
        low, high = sorted((one, other))
        tight = explore_probability(seen, similarity, delta=low)
        assert explore_probability(seen, similarity, delta=high) <= tight

    @pytest.mark.parametrize("delta", [0.0, -0.1, math.nan])
    def test_without_a_budget_nothing_is_served(self, delta):
        assert explore_probability(RIGHT_AT_90, 0.95, delta=delta) == 1.0

    def test_four_comparisons_are_needed_and_enough(self):
        assert explore_probability(RIGHT_AT_90[:3], 0.95, delta=0.5) == 1.0
        assert explore_probability(RIGHT_AT_90[:4], 0.95, delta=0.02) < 0.3

    def test_the_floor_spares_the_budget_and_touches_nothing_above_it(self):
        assert explore_probability(BOTH, 0.699, delta=0.02) <= 0.98
        assert explore_probability(BOTH, 0.699, delta=0.02, floor=0.7) == 1.0
        assert explore_probability(BOTH, 0.95, delta=0.02, floor=0.7) == explore_probability(
            BOTH, 0.95, delta=0.02
        )

    @given(fitted, no_cosines)
    def test_what_is_no_cosine_is_never_served_learned_or_trusted(self, seen, broken):
        assert explore_probability(seen, broken, delta=0.5) == 1.0
        assert observed(seen, broken, same=True) == tuple(seen)
        assert explore_probability([*seen, (broken, True)], 0.99, delta=0.5) == 1.0

    def test_a_cosine_of_one_may_be_a_rounding_error_above_it(self):
        assert explore_probability(RIGHT_AT_90, 1.000_000_1, delta=0.02) < 0.1

    @pytest.mark.parametrize(
        "seen",
        [
            ((0.9, True), (0.9, False)) * 3,  # one similarity, both answers: no slope
            ((0.7, False), (0.9, True), (0.9, False), (0.95, True)),  # they meet in one point: no maximum
            (
                (0.7, True),
                (0.8, True),
                (0.9, False),
                (1.0, False),
                (0.95, False),
            ),  # the more alike, the wronger
            tuple((s / 100, s == 80) for s in range(60, 100)),  # wrong even for the same question
        ],
    )
    def test_labels_that_no_rising_curve_explains_are_explored(self, seen):
        assert explore_probability(seen, 0.99, delta=0.5) == 1.0

    def test_a_fit_without_a_solution_stops(self):
        b0, b1, curvature = _most_likely(((0.9, True), (0.9, False), (0.9, True)))
        assert curvature.singular
        assert (b0, b1) == (0.0, 0.0)

    @given(fitted, cosines)
    def test_where_most_answers_were_wrong_none_is_called_more_likely_right(self, seen, similarity):
        assume(similarity > 0.0)
        right = probability_right([*seen, *[(similarity, False)] * (len(seen) + 2)], similarity)
        assert right is None or right <= 0.5

    @pytest.mark.parametrize("seen", [RIGHT_AT_90, BOTH, history(random.Random(3), 30, logistic(40.0, 0.75))])
    @pytest.mark.parametrize("similarity", [0.82, 0.9, 0.97])
    def test_wrong_answers_nearby_raise_exploration_and_right_ones_do_not(self, seen, similarity):
        before = explore_probability(seen, similarity, delta=0.02)
        wrong = [(similarity, False), (similarity - 0.01, False), (similarity + 0.01, False)]
        after = explore_probability([*seen, *wrong], similarity, delta=0.02)
        assert after > max(before, 0.9)
        assert explore_probability([*seen, *[(similarity, True)] * 3], similarity, delta=0.02) <= before

    def test_ten_right_answers_serve_and_far_wrong_ones_do_not_matter(self):
        seen = ((0.3, False), (0.35, False), *[(0.9, True)] * 10)
        assert explore_probability(seen, 0.93, delta=0.02) < 0.1
        assert explore_probability(seen, 0.6, delta=0.02) > 0.9


class TestMemory:
    @given(labels, cosines, st.booleans())
    def test_keeps_the_newest_and_the_highest_wrong_one_and_no_more_than_the_bound(
        self, seen, similarity, same
    ):
        after = observed(seen, similarity, same=same)
        assert after[-1] == (similarity, same)
        assert len(after) == min(len(seen) + 1, KEPT)
        wrong = [s for s, right in (*seen, after[-1]) if not right]
        assert not wrong or (max(wrong), False) in after
        assert after == observed(tuple(seen), similarity, same=same)

    def test_forgets_by_age_otherwise(self):
        seen = ((0.9, False), *[(0.95, True)] * (KEPT - 2), (0.8, False))
        after = observed(seen, 0.96, same=True)
        assert after == (seen[0], *seen[2:], (0.96, True))
        assert observed(after, 0.97, same=False) == (*after[1:], (0.97, False))

    def test_keeps_three_decimals(self):
        assert observed((), 0.98765, same=True) == ((0.988, True),)

    @pytest.mark.parametrize("seed", range(5))
    def test_forgetting_between_separated_labels_only_ever_raises_the_bar(self, seed):
        everything = history(random.Random(seed), 2 * KEPT, lambda s: s > 0.8)
        kept = ()
        for s, right in everything:
            kept = observed(kept, s, same=right)
        assert max(s for s, right in kept if not right) == max(s for s, right in everything if not right)
        assert min(s for s, right in kept if right) >= min(s for s, right in everything if right)


WORLDS = {
    "right above .6": (logistic(30.0, 0.6), 0.3),
    "right above .85": (logistic(60.0, 0.85), 0.1),
    "right above .85, blurred": (logistic(20.0, 0.85), 0.01),
    "always 97 % right": (lambda s: 0.97, 0.1),
    "never right": (lambda s: 0.0, 0.0),
    "rather wrong even when the same": (logistic(15.0, 1.05), 0.0),
}


class TestBound:
    @pytest.mark.parametrize("world", WORLDS)
    @pytest.mark.parametrize("delta", [0.02, 0.05])
    def test_wrong_answers_per_request_stay_below_delta_and_the_budget_buys_hits(self, world, delta):
        truth, least = WORLDS[world]
        lives = [live(truth, delta=delta, requests=500, seed=seed) for seed in range(3)]
        requests = 1_500
        margin = 3.0 * math.sqrt(requests * delta * (1.0 - delta))
        assert sum(wrong for _, wrong, _ in lives) <= requests * delta + margin
        assert sum(late for *_, late in lives) >= least * requests / 2

    def test_a_lucky_start_is_not_trusted_for_ever(self):
        """Answers right at random look certain when the first labels agree; the paper's rule never asks again."""

        def wrong(rule):
            lives = [
                live(lambda s: 0.9, delta=0.05, requests=600, seed=seed, rule=rule) for seed in range(12)
            ]
            return sum(wrong for _, wrong, _ in lives) / 7_200

        assert wrong(paper_rule) > 0.05
        assert wrong(explore_probability) <= 0.03
