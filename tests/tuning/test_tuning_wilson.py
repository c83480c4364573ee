"""Wilson's interval against published values and against the equation that it solves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.wilson import Rate, Z, interval, trials_needed

COUNTS = st.integers(1, 5_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize(
    ("count", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(count, trials, low, high):
    assert interval(count, trials) == pytest.approx((low, high), abs=5e-5)


@given(COUNTS)
def test_an_end_that_is_not_0_or_1_solves_the_score_test(counted):
    count, trials = counted
    rate = count / trials
    low, high = interval(count, trials)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        assert abs(rate - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / trials), abs=1e-9)


@given(COUNTS)
def test_counting_wrong_or_right_answers_is_the_same(counted):
    count, trials = counted
    low, high = interval(count, trials)
    assert interval(trials - count, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_nothing_tried_means_nothing_known():
    assert interval(0, 0) == (0.0, 1.0)
    assert str(Rate(0, 0)) == ""
    assert Rate(0, 0).value == 0.0


@pytest.mark.parametrize("counted", [(3, 2), (-1, 2), (0, -1)])
def test_what_is_no_rate_is_refused(counted):
    with pytest.raises(ValueError, match="no rate"):
        interval(*counted)


@given(st.floats(0, 0.5), st.floats(0.001, 0.6))
def test_so_many_trials_are_enough_and_a_tenth_fewer_are_not(rate, bound):
    needed = trials_needed(rate, bound)
    if rate >= bound:
        assert needed is None
    elif needed and 100 < needed < 1_000_000:  # with fewer, whole counts cannot have this rate
        assert _upper(rate, needed) <= bound + 1e-9
        assert _upper(rate, needed * 0.9) > bound


def test_a_target_of_2_percent_takes_189_hits_without_a_wrong_one():
    assert trials_needed(0.0, 0.02) == 189
    assert interval(0, 189)[1] <= 0.02 < interval(0, 188)[1]


def _upper(rate: float, trials: float) -> float:
    spread = Z * Z / trials
    return (rate + spread / 2 + math.sqrt(rate * (1 - rate) * spread + spread * spread / 4)) / (1 + spread)


def test_a_rate_says_itself_with_its_interval():
    assert str(Rate(81, 263)) == "30.8% (25.5-36.6)"
    assert Rate(1, 4).to_dict() == {
        "count": 1,
        "of": 4,
        "rate": 0.25,
        "low": Rate(1, 4).low,
        "high": Rate(1, 4).high,
    }
