"""The circuit breaker per upstream: it opens, rests as long as it is told, and lets one probe through at a time."""

from __future__ import annotations

import threading
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.retry_after import retry_after_s
from semcache_integrations.http.upstream_breaker import Rests, UpstreamBreaker
from semcache_integrations.testing import FakeClock

ONE, TWO = "https://one.example", "https://two.example"
RESTS = Rests(failures=3, rest_s=10.0, longest_s=60.0, probe_s=30.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def breaker(clock) -> UpstreamBreaker:
    return UpstreamBreaker(RESTS, clock=clock)


def answer(breaker, status, retry_after=None, upstream=ONE):
    with breaker.permit(upstream) as permit:
        permit.answered(status, retry_after)


def opened(breaker, retry_after=None):
    for _ in range(RESTS.failures):
        answer(breaker, 503, retry_after)


def refused(breaker, upstream=ONE) -> float:
    """Return the seconds after which to try again."""
    with pytest.raises(ProblemError, match="is left alone for a while: try again in") as problem:
        breaker.permit(upstream)
    assert problem.value.status == 503
    return problem.value.retry_after_s


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_it_opens_after_failures_in_a_row(breaker, status):
    for _ in range(3):
        assert breaker.states().get(ONE, "closed") == "closed"
        answer(breaker, status)
    assert refused(breaker) == 10.0
    assert breaker.states() == {ONE: "open"}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422])
def test_whoever_answers_lives(breaker, status):
    for _ in range(4):
        answer(breaker, 500)
        answer(breaker, 500)
        answer(breaker, status)
    assert breaker.states() == {ONE: "closed"}


def test_timeouts_and_connect_failures_count_and_what_ends_without_a_word_does_not(breaker):
    for _ in range(9):
        with breaker.permit(ONE):
            pass
    assert breaker.states() == {ONE: "closed"}
    for _ in range(3):
        with breaker.permit(ONE) as permit:
            permit.failed()
    assert breaker.states() == {ONE: "open"}


def test_upstreams_do_not_share_a_circuit(breaker):
    opened(breaker)
    answer(breaker, 200, upstream=TWO)
    assert breaker.states() == {ONE: "open", TWO: "closed"}


@pytest.mark.parametrize(("asked", "rest"), [(None, 10.0), (2.5, 2.5), (59.0, 59.0), (3600.0, 60.0)])
def test_the_upstream_says_how_long_it_rests_up_to_a_cap(breaker, clock, asked, rest):
    opened(breaker, asked)
    assert refused(breaker) == rest
    clock.advance(rest - 0.5)
    assert refused(breaker) == 0.5
    clock.advance(0.5)
    assert breaker.states() == {ONE: "half-open"}
    answer(breaker, 200)
    assert breaker.states() == {ONE: "closed"}


def test_one_probe_at_a_time(breaker, clock):
    opened(breaker)
    clock.advance(10.0)
    with breaker.permit(ONE) as probe:
        assert refused(breaker) == 1.0
        assert breaker.states() == {ONE: "half-open"}
        probe.answered(200)
        breaker.permit(ONE)
    assert breaker.states() == {ONE: "closed"}
    answer(breaker, 500)
    assert breaker.states() == {ONE: "closed"}, "it counts from nought again"


def test_a_probe_that_fails_begins_another_rest(breaker, clock):
    opened(breaker)
    clock.advance(10.0)
    answer(breaker, 429, 20.0)
    assert refused(breaker) == 20.0
    clock.advance(20.0)
    answer(breaker, 404)
    assert breaker.states() == {ONE: "closed"}


def test_a_cancelled_probe_frees_the_place(breaker, clock):
    opened(breaker)
    clock.advance(10.0)
    with pytest.raises(KeyboardInterrupt), breaker.permit(ONE):
        raise KeyboardInterrupt
    answer(breaker, 200)
    assert breaker.states() == {ONE: "closed"}


def test_a_probe_that_never_ends_gives_its_place_to_another(breaker, clock):
    opened(breaker)
    clock.advance(10.0)
    lost = breaker.permit(ONE)
    clock.advance(29.5)
    assert refused(breaker) == 0.5
    clock.advance(0.5)
    with breaker.permit(ONE) as second, lost:
        lost.failed()  # too late: it is not the probe any more
        assert breaker.states() == {ONE: "half-open"}
        second.answered(200)
    assert breaker.states() == {ONE: "closed"}


def test_what_was_sent_before_it_opened_neither_closes_it_nor_shortens_its_rest(breaker, clock):
    early, late = breaker.permit(ONE), breaker.permit(ONE)
    opened(breaker, 20.0)
    early.answered(200)
    late.answered(429, 5.0)
    assert refused(breaker) == 20.0
    late.answered(429, 30.0)
    assert refused(breaker) == 30.0
    late.failed()
    assert refused(breaker) == 30.0


def test_it_remembers_so_many_upstreams_and_forgets_working_ones_first(clock):
    breaker = UpstreamBreaker(RESTS, remembered=3, clock=clock)
    opened(breaker)
    for number in range(50):
        answer(breaker, 200, upstream=f"https://{number}.example")
    assert breaker.states() == {ONE: "open", "https://48.example": "closed", "https://49.example": "closed"}


def test_the_one_that_was_not_asked_for_longest_is_forgotten(clock):
    breaker = UpstreamBreaker(RESTS, remembered=2, clock=clock)
    for upstream in (ONE, TWO, ONE, "https://three.example"):
        answer(breaker, 200, upstream=upstream)
    assert set(breaker.states()) == {ONE, "https://three.example"}


def test_where_all_upstreams_rest_the_oldest_is_forgotten(clock):
    breaker = UpstreamBreaker(Rests(failures=1), remembered=1, clock=clock)
    answer(breaker, 500)
    answer(breaker, 500, upstream=TWO)
    assert breaker.states() == {TWO: "open"}


def test_of_twenty_threads_one_probes(breaker, clock):
    opened(breaker)
    clock.advance(10.0)
    start, probes = threading.Barrier(20), []

    def ask() -> None:
        start.wait()
        try:
            probes.append(breaker.permit(ONE))
        except ProblemError:
            return

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(probes) == 1


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"rest_s": 0.0}, {"longest_s": -1.0}, {"probe_s": 0.0}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Rests(**wrong)


def test_a_memory_of_none_is_refused():
    with pytest.raises(ConfigurationError, match="remembered=1 or more"):
        UpstreamBreaker(remembered=0)


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 99 Foo 2027 07:28:00 GMT"}, None),
    ],
)
def test_when_an_upstream_may_be_asked_again(headers, seconds):
    assert retry_after_s(headers, wall_clock=lambda: NOW) == seconds


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"\A[A-Za-z]{3}, [0-9]{1,9} [A-Za-z]{3} [0-9]{1,9} [0-9:]{1,9} [-+A-Z0-9]{1,9}\Z"),
    )
)
def test_nothing_that_is_said_there_can_harm(said):
    seconds = retry_after_s({"retry-after": said}, wall_clock=lambda: NOW)
    assert seconds is None or 0.0 <= seconds < float("inf")
