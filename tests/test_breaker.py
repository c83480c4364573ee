"""The breaker: opens after repeated failures, lets one call try per rest, tells each change once."""

from __future__ import annotations

from semcache_integrations.breaker import Breaker
from semcache_integrations.testing import FakeClock


def make(failures: int = 3) -> tuple[Breaker, FakeClock, list[str]]:
    clock, changes = FakeClock(0.0), []
    return Breaker(changes.append, failures=failures, rest_s=10.0, clock=clock), clock, changes


def test_it_stays_closed_while_failures_are_not_consecutive():
    breaker, _, changes = make()
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()
    assert changes == []


def test_it_opens_and_tells_once():
    breaker, _, changes = make()
    for _ in range(6):
        breaker.failed()
    assert breaker.state == "open"
    assert not breaker.allows()
    assert changes == ["open"]


def test_one_call_tries_after_each_rest():
    breaker, clock, _ = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(10.0)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.failed()
    clock.advance(9.0)
    assert not breaker.allows()
    clock.advance(1.0)
    assert breaker.allows()


def test_an_answer_closes_it():
    breaker, clock, changes = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(10.0)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == "closed"
    assert all(breaker.allows() for _ in range(3))
    assert changes == ["open", "closed"]
