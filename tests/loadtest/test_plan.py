"""What a load test plans and what it asks: no network, no clock."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.demo.traffic import Question, load_traffic
from semcache_integrations.loadtest.mix import Mix, shipped_shares
from semcache_integrations.loadtest.plan import Plan, Shares, seconds_of
from semcache_integrations.loadtest.target import origin_of

SHARES = Shares(repeat=0.3, reword=0.5)
TRAFFIC = load_traffic()

# -- the plan ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("5", 5), ("5s", 5), ("1m", 60), ("1m30s", 90), (" 1H ", 3600), ("0.5s", 0.5), ("2m0.5s", 120.5)],
)
def test_a_time_is_read(written, seconds):
    assert seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["", "s", "5x", "-1", "1m 30s", "1m30", "inf", "nan", "1e3", "5s!"])
def test_what_is_no_time_is_told(written):
    with pytest.raises(ValueError, match="is no time"):
        seconds_of(written)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"users": 0}, "users"),
        ({"users": 2_001}, "2,000"),
        ({"spawn_rate": 0}, "spawn rate"),
        ({"spawn_rate": 501}, "500"),
        ({"seconds": 0}, "time"),
        ({"seconds": 3_601}, "hour"),
        ({"seconds": math.nan}, "time"),
        ({"requests": 0}, "requests"),
        ({"stream_share": 1.1}, "streams"),
        ({"pause_s": -1}, "pause"),
        ({"timeout_s": 0}, "time limit"),
    ],
)
def test_what_is_beyond_a_bound_is_refused(wrong, word):
    with pytest.raises(ConfigurationError, match=word):
        Plan(shares=SHARES, **wrong)


@given(st.integers(1, 2_000), st.floats(0.1, 500), st.floats(0.1, 3_600))
def test_users_come_one_after_another_and_those_who_come_are_counted(users, rate, seconds):
    plan = Plan(shares=SHARES, users=users, spawn_rate=rate, seconds=seconds)
    assert 1 <= plan.coming <= users
    assert plan.comes_after_s(plan.coming - 1) < seconds
    assert plan.coming == users or plan.comes_after_s(plan.coming) >= seconds


@given(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1))
def test_stated_shares_hold_and_the_others_keep_their_proportion(repeat, reword):
    if repeat is not None and reword is not None and repeat + reword > 1:
        with pytest.raises(ConfigurationError, match="more than 1"):
            SHARES.stated(repeat, reword)
        return
    shares = SHARES.stated(repeat, reword)
    assert shares.repeat == repeat or repeat is None
    assert shares.reword == reword or reword is None
    assert math.isclose(shares.repeat + shares.reword + shares.new, 1)
    if repeat is not None and reword is None and shares.new > 1e-6:
        assert math.isclose(shares.reword / shares.new, 0.5 / 0.2, rel_tol=1e-6)


@pytest.mark.parametrize("wrong", [(-0.1, 0.5), (0.5, 1.1), (0.6, 0.6)])
def test_shares_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="share"):
        Shares(repeat=wrong[0], reword=wrong[1])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("https://cache.example", "https://cache.example"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_a_targets_origin_is_read(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x:y"])
def test_what_is_no_proxys_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="no URL"):
        origin_of(url)


# -- the mix -------------------------------------------------------------------------------------------


def turns(count, shares=SHARES, traffic=TRAFFIC, **more):
    mix = Mix(traffic, shares, namespace="n", **more)
    return [mix.next() for _ in range(count)]


def test_the_default_shares_are_those_of_the_shipped_questions():
    shares = shipped_shares()
    assert (shares.repeat, shares.reword) == (pytest.approx(0.3), pytest.approx(308 / 600))


@given(
    st.floats(0, 1).flatmap(lambda repeat: st.tuples(st.just(repeat), st.floats(0, 1 - repeat))),
    st.text(max_size=3),
)
def test_a_turn_is_what_it_is_called_within_its_round(shares, seed):
    texts, labels = defaultdict(set), defaultdict(set)
    for turn in turns(300, Shares(repeat=shares[0], reword=shares[1]), seed=seed):
        asked, known = texts[turn.namespace], labels[turn.namespace]
        expected = (
            "repeat" if turn.question.text in asked else "reword" if turn.question.label in known else "new"
        )
        assert turn.kind == expected
        asked.add(turn.question.text)
        known.add(turn.question.label)


@pytest.mark.parametrize("wanted", [SHARES, Shares(repeat=0.6, reword=0.3), Shares(repeat=0, reword=0)])
def test_the_shares_are_kept_for_as_long_as_it_goes_on(wanted):
    kinds = Counter(turn.kind for turn in turns(20_000, wanted))
    assert kinds["repeat"] / 20_000 == pytest.approx(wanted.repeat, abs=0.02)
    assert kinds["reword"] / 20_000 == pytest.approx(wanted.reword, abs=0.02)


def test_equal_seeds_ask_the_same_and_others_do_not():
    assert turns(500, seed="1", stream_share=0.5) == turns(500, seed="1", stream_share=0.5)
    assert turns(500, seed="1") != turns(500, seed="2")


def test_repeats_alone_need_no_second_round_and_no_memory():
    asked = turns(5_000, Shares(repeat=1, reword=0))
    assert {turn.namespace for turn in asked} == {"n-1"}
    assert len({turn.question for turn in asked}) == 1


def test_a_question_of_one_wording_is_no_reason_to_stop():
    one = [Question("Is it raining?", "rain", "slots")]
    assert [turn.kind for turn in turns(3, Shares(repeat=0, reword=1), one)] == ["new"] * 3
    assert len({turn.namespace for turn in turns(3, Shares(repeat=0, reword=1), one)}) == 3


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_streams_have_their_share(share):
    streamed = sum(turn.stream for turn in turns(4_000, stream_share=share))
    assert streamed / 4_000 == pytest.approx(share, abs=0.03)
