"""Policy: how long an entry lives, and how similar it must be."""

from __future__ import annotations

import pytest

from semcache_integrations.core.models import NEVER, CacheEntry, Controls, Namespace
from semcache_integrations.core.policy import Policy


def entry(expires_at: float, ttl_s: float | None = 10.0) -> CacheEntry:
    return CacheEntry("id", Namespace("ns"), "q", "p", created_at=0.0, expires_at=expires_at, ttl_s=ttl_s)


def test_without_a_ttl_an_entry_lives_for_ever():
    assert Policy(0.9).expires_at(0.0, 5.0, None) == NEVER


def test_a_ttl_counts_from_now_and_stops_at_the_cap():
    policy = Policy(0.9, ttl_sliding=True, ttl_cap_s=25.0)
    assert policy.expires_at(0.0, 5.0, 10.0) == 15.0
    assert policy.expires_at(0.0, 20.0, 10.0) == 25.0


def test_a_sliding_ttl_is_renewed_from_its_half_on_until_the_cap():
    policy = Policy(0.9, ttl_sliding=True, ttl_cap_s=25.0)
    assert policy.renew_at(entry(10.0)) == 5.0
    assert policy.renew_at(entry(25.0)) == NEVER


def test_a_fixed_ttl_is_never_renewed():
    assert Policy(0.9).renew_at(entry(10.0)) == NEVER
    assert Policy(0.9, ttl_sliding=True).renew_at(entry(NEVER, None)) == NEVER


@pytest.mark.parametrize(("asked", "threshold"), [(0.0, 0.92), (0.1, 0.92), (0.91, 0.92), (0.95, 0.95)])
def test_a_call_may_tighten_the_bars_and_loosens_neither(asked, threshold):
    policy = Policy(similarity_threshold=0.9, rejection_threshold=0.92)
    assert policy.threshold(Controls(similarity_threshold=asked)) == threshold
