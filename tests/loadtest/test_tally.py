"""What a load test measures, judges and counts: no network, no clock."""

from __future__ import annotations

import math

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.replay import Replay
from semcache_integrations.demo.traffic import load_traffic
from semcache_integrations.loadtest.asking import outcome, tier_of
from semcache_integrations.loadtest.histogram import Histogram
from semcache_integrations.loadtest.judge import Claim, Judge
from semcache_integrations.loadtest.mix import Turn
from semcache_integrations.loadtest.tally import Outcome, Tally
from semcache_integrations.wire import openai_chat, sse

TRAFFIC = load_traffic()

# -- latencies -----------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_is_within_one_per_cent_of_the_value_of_that_rank(seconds, percent):
    histogram = Histogram()
    for one in seconds:
        histogram.add(one)
    exact = sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]
    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0101)
    assert min(seconds) <= histogram.percentile(percent) <= max(seconds)


@given(st.lists(st.floats(0, 1e9), max_size=500))
def test_it_has_a_bounded_number_of_buckets(seconds):
    histogram = Histogram()
    for one in seconds:
        histogram.add(one)
    assert histogram.count == len(seconds)
    assert all(-1_000 < bucket < 1_000 for bucket in histogram._buckets)


def test_nothing_was_measured_is_none():
    assert Histogram().percentile(50) is None


# -- judging -------------------------------------------------------------------------------------------


def claim(label, answer, tier="semantic"):
    return Claim(f"what is {label}?", label, tier, answer)


def test_a_hit_is_wrong_if_its_answer_is_another_labels():
    judge = Judge()
    judge.fresh("a", "A")
    judge.fresh("b", "B")
    judge.hit(claim("a", "A"))
    judge.hit(claim("a", "B"))
    assert (judge.right, judge.wrong, judge.unjudged) == ({"semantic": 1}, {"semantic": 1}, 0)
    assert judge.examples == [claim("a", "B")]


def test_a_hit_waits_for_the_one_who_was_answered_first():
    judge = Judge()
    judge.hit(claim("a", "A", "flight"))
    judge.hit(claim("b", "A", "flight"))
    judge.hit(claim("c", "never", "hash"))
    assert judge.unjudged == 3
    judge.fresh("a", "A")
    assert (judge.right, judge.wrong, judge.unjudged) == ({"flight": 1}, {"flight": 1}, 1)


def test_an_answer_that_two_labels_got_is_right_for_both():
    judge = Judge()
    for label in "ab":
        judge.fresh(label, "I cannot help with that.")
    for label in "abc":
        judge.hit(claim(label, "I cannot help with that."))
    assert (judge.right.total(), judge.wrong.total()) == (2, 1)


@given(
    st.permutations(
        [("fresh", label) for label in "abc"] + [("hit", label, text) for label in "abc" for text in "ABC"]
    )
)
def test_the_order_of_events_changes_no_verdict(events):
    judge = Judge()
    for kind, label, *text in events:
        if kind == "fresh":
            judge.fresh(label, label.upper())
        else:
            judge.hit(claim(label, *text))
    assert (judge.right.total(), judge.wrong.total(), judge.unjudged) == (3, 6, 0)


def test_what_it_remembers_is_bounded_and_no_hit_is_lost():
    judge = Judge(remembered=10)
    for number in range(50):
        judge.fresh(str(number), str(number))
        judge.hit(claim("x", f"unknown {number}"))
    assert len(judge._labels) == len(judge._open) == 10
    assert judge.unjudged == 50
    judge.hit(claim("0", "0"))  # forgotten: neither right nor wrong
    assert (judge.right.total(), judge.wrong.total(), judge.unjudged) == (0, 0, 51)
    assert len(judge.examples) <= 5


# -- counting ------------------------------------------------------------------------------------------


def test_every_request_is_counted_once():
    tally, turn = Tally(), Turn(TRAFFIC[0], "new", "n", stream=False)
    tally.first(turn, Outcome("miss", 0.5, "A"))
    for tier in ("hash", "exact", "semantic", "flight", "miss", "bypass"):
        tally.add(turn, Outcome(tier, 0.1, "A"))
    tally.add(turn, Outcome("", 0.1, error="HTTP 500", message="x" * 1_000))
    tally.add(turn, Outcome("", 0.1, error="HTTP 500", message="second"))
    assert (tally.requests, tally.hits, tally.wrong) == (9, 4, 0)
    assert (tally.errors, tally.messages) == ({"HTTP 500": 2}, {"HTTP 500": "x" * 200})
    assert tally.latencies["miss"].count == 1
    assert tally.became["new", "miss"] == 2


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"x-cache-status": "hit", "x-cache-tier": "hash"}, "hash"),
        ({"x-cache-status": "stale", "x-cache-tier": "exact"}, "exact"),
        ({"x-cache-status": "miss"}, "miss"),
        ({"x-cache-status": "bypass"}, "bypass"),
        ({"x-cache-status": "error"}, ""),
        ({"x-cache-status": "hit"}, ""),
        ({}, ""),
    ],
)
def test_the_headers_say_who_answered(said, tier):
    assert tier_of(said) == tier


WHOLE = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
}
STREAM = b"".join(map(sse.encoded, openai_chat.events(WHOLE, Replay()))) + sse.DONE


@pytest.mark.parametrize(
    ("body", "stream"), [(orjson.dumps(WHOLE), False), (STREAM, True)], ids=["plain", "stream"]
)
def test_an_answer_is_read(body, stream):
    response = httpx.Response(200, headers={"x-cache-status": "miss", "x-cache-reason": "not_found"})
    read = outcome(response, body, 0.5, stream=stream)
    assert (read.tier, read.text, read.error, read.reason) == ("miss", "Paris", "", "not_found")


@pytest.mark.parametrize(
    ("code", "headers", "body", "stream", "error"),
    [
        (502, {"x-cache-status": "error"}, b'{"error": 1}', False, "HTTP 502"),
        (200, {}, orjson.dumps(WHOLE), False, "no x-cache-status"),
        (200, {"x-cache-status": "miss"}, b"{", False, "unreadable answer"),
        (200, {"x-cache-status": "miss"}, b"[]", False, "unreadable answer"),
        (200, {"x-cache-status": "miss"}, STREAM[:-60], True, "unreadable answer"),
        (200, {"x-cache-status": "miss"}, b'{"choices": []}', False, "unreadable answer"),
    ],
)
def test_what_is_no_answer_is_an_error_of_a_kind(code, headers, body, stream, error):
    assert outcome(httpx.Response(code, headers=headers), body, 0.1, stream=stream).error == error
