"""The offset that labels move: where it starts, where it goes, how far, and what it changes."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.acceptance import Nearest, Scored, Verified
from semcache_integrations.core.calibration import Calibration
from semcache_integrations.core.recalibration import SURE, UNMOVED, Shift
from semcache_integrations.core.scoring import FEATURES, logistic, logit

labels = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=200)
demands = st.floats(0.01, 0.999)
CALIBRATION = Calibration((0.0,) * len(FEATURES), 0.0, ((0.01, 0.9), (0.02, 0.8)))


def taught(pairs, shift: Shift = UNMOVED) -> Shift:
    for score, right in pairs:
        shift = shift.learned(score, right=right)
    return shift


def world(chance: Random, offset: float, count: int):
    """Scores of misses, and labels of a world where every score is too low by `offset`."""
    for _ in range(count):
        score = chance.uniform(0.3, 0.95)
        yield score, chance.random() < logistic(logit(score) + offset)


@given(demands)
def test_it_starts_at_nothing(least):
    assert UNMOVED.demanded(least) == pytest.approx(least)


@given(labels, demands)
def test_it_never_exceeds_its_bound_whatever_it_is_told(pairs, least):
    shift = taught(pairs)
    assert abs(shift.offset) <= 1.2
    assert logit(least) - 0.37 <= logit(shift.demanded(least)) <= logit(least) + 1.21


@given(labels, st.floats(0.3, 0.985), demands)
def test_a_right_answer_never_raises_a_demand_and_a_wrong_one_never_lowers_it(pairs, score, least):
    shift = taught(pairs)
    before = shift.demanded(least)
    assert shift.learned(score, right=True).demanded(least) <= before
    assert shift.learned(score, right=False).demanded(least) >= before


@given(labels, demands, demands)
def test_who_demands_more_never_gets_less(pairs, one, other):
    shift = taught(pairs)
    assert shift.demanded(min(one, other)) <= shift.demanded(max(one, other))


@pytest.mark.parametrize("score", [0.0, 0.1, 0.29, 0.99, 1.0])
@pytest.mark.parametrize("right", [True, False])
def test_what_was_clear_beforehand_tells_nothing(score, right):
    assert UNMOVED.learned(score, right=right) == UNMOVED


@pytest.mark.parametrize("score", [0.3, 0.5, 0.9, 0.985])
@pytest.mark.parametrize("right", [True, False])
def test_one_slip_of_the_comparer_moves_nothing_far(score, right):
    assert UNMOVED.learned(score, right=right).demanded(0.94) == pytest.approx(0.94, abs=0.01)


@pytest.mark.parametrize("offset", [-0.8, 0.0, 0.8])
def test_it_finds_how_much_the_scores_are_off(offset):
    assert taught(world(Random(7), offset, 1_500)).offset == pytest.approx(offset, abs=0.25)


def test_it_follows_a_change_of_traffic():
    there = taught(world(Random(1), 0.8, 1_000))
    back = taught(world(Random(2), -0.8, 2_000), there)
    assert there.offset > 0.4
    assert back.offset < -0.3


def test_good_news_loosens_no_demand_that_is_above_sure_and_bad_news_tightens_it():
    good, bad = taught(world(Random(1), 0.8, 1_000)), taught(world(Random(1), -0.8, 1_000))
    assert good.demanded(SURE + 0.01) == SURE + 0.01
    assert good.demanded(SURE - 0.01) < SURE - 0.02
    assert bad.demanded(SURE + 0.01) > SURE + 0.02


def test_a_scored_rule_is_recalibrated_and_no_other_rule_can_be():
    shift = Shift(0.4)
    assert Scored(CALIBRATION, 0.02).recalibrated(shift) == Scored(CALIBRATION, 0.02, shift)
    for rule in (Nearest(), Verified(0.02)):
        assert rule.recalibrated(shift) is rule
