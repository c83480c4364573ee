"""The in-process tier: bounded by entries and by bytes, least recently used first, safe for threads."""

from __future__ import annotations

import threading
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.models import NEVER, CacheEntry, Hit, Namespace, Selector
from semcache_integrations.hash_tier import HashTier


def hit(name: str = "a", payload: str = "p", tag: str = "") -> Hit:
    return Hit(CacheEntry(name, Namespace("ns"), name, payload, 0.0, tags=(tag,)), 1.0, "hash")


def key(name: str) -> tuple[str, str]:
    return ("scope", name)


def keep(tier: HashTier, name: str, deadline: float = NEVER, **fields: str) -> None:
    tier.put(key(name), hit(name, **fields), deadline, NEVER)


def test_what_was_kept_is_found_and_its_neighbours_are_not():
    tier = HashTier(10, 10**6)
    keep(tier, "a")
    assert tier.get(key("a"), 0.0).hit.entry.id == "a"
    assert tier.get(key("b"), 0.0) is None
    assert tier.get(("other", "a"), 0.0) is None


def test_the_least_recently_used_goes_first():
    tier = HashTier(2, 10**6)
    keep(tier, "a")
    keep(tier, "b")
    tier.get(key("a"), 0.0)
    keep(tier, "c")
    assert [tier.get(key(name), 0.0) is not None for name in "abc"] == [True, False, True]
    assert tier.evicted == 1


def test_a_tier_of_one_entry_holds_one():
    tier = HashTier(1, 10**6)
    keep(tier, "a")
    keep(tier, "b")
    assert len(tier) == 1
    assert tier.get(key("b"), 0.0) is not None


def test_bytes_bound_it_too():
    tier = HashTier(1000, 10_000)
    for number in range(50):
        keep(tier, str(number), payload="x" * 1000)
    assert 0 < len(tier) < 10
    assert tier.size_bytes <= 10_000


def test_a_hit_larger_than_the_tier_is_not_kept_and_evicts_nothing():
    tier = HashTier(10, 10_000)
    keep(tier, "small")
    keep(tier, "large", payload="x" * 20_000)
    assert tier.get(key("small"), 0.0) is not None
    assert tier.get(key("large"), 0.0) is None


def test_a_deadline_is_the_first_moment_of_not_being_served():
    tier = HashTier(10, 10**6)
    keep(tier, "a", deadline=5.0)
    assert tier.get(key("a"), 4.999) is not None
    assert tier.get(key("a"), 5.0) is None
    assert len(tier) == 0
    assert tier.size_bytes == 0


def test_removing_counts_entries_and_spares_the_rest():
    tier = HashTier(10, 10**6)
    keep(tier, "a", tag="old")
    keep(tier, "b")
    tier.put(key("reworded a"), hit("a", tag="old"), NEVER, NEVER)  # a promoted semantic hit
    assert tier.remove(Selector(tag="old")) == 1
    assert [tier.get(key(name), 0.0) is not None for name in ("a", "reworded a", "b")] == [False, False, True]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3000)), max_size=60))
def test_the_bounds_hold_after_every_put_and_the_books_balance(puts):
    tier = HashTier(4, 8_000)
    for name, length in puts:
        keep(tier, name, payload="x" * length)
        assert len(tier) <= 4
        assert tier.size_bytes <= 8_000
    tier.remove(Selector())
    assert tier.size_bytes == 0


def test_sixteen_threads_lose_nothing():
    tier = HashTier(100_000, 10**9)

    def work(worker: int) -> None:
        for number in range(200):
            keep(tier, f"{worker}-{number}")
            assert tier.get(key(f"{worker}-{number}"), 0.0) is not None

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tier) == 16 * 200
    tier.clear()
    assert len(tier) == tier.size_bytes == 0


def test_amending_dates_the_slots_of_that_answer_and_no_other():
    tier = HashTier(10, 10**6)
    for name, text in (("own", "own"), ("alias", "own"), ("other", "other")):
        tier.put_again(key(name), hit(text), 100.0, NEVER, tier.generation)
    later = replace(hit("own").entry, expires_at=500.0)
    tier.amend(later, 400.0)
    deadlines = {name: tier.get(key(name), 0.0).deadline for name in ("own", "alias", "other")}
    assert deadlines == {"own": 400.0, "alias": 100.0, "other": 100.0}
    tier.amend(replace(later, expires_at=50.0), NEVER)
    assert tier.get(key("own"), 50.0) is tier.get(key("alias"), 50.0) is None
    assert tier.get(key("other"), 50.0) is not None


def test_amending_spares_a_newer_answer_to_the_same_question():
    tier = HashTier(10, 10**6)
    keep(tier, "a", 100.0)
    tier.amend(replace(hit("a").entry, created_at=-1.0, expires_at=5.0), NEVER)
    assert tier.get(key("a"), 50.0) is not None


def test_a_hit_that_was_read_before_an_amendment_is_not_kept_after_it():
    tier = HashTier(10, 10**6)
    read_at = tier.generation
    tier.amend(replace(hit("a").entry, expires_at=5.0), NEVER)
    assert not tier.put_again(key("a"), hit("a"), NEVER, NEVER, read_at)


def test_a_hit_without_any_time_left_is_not_kept_and_replaces_what_was():
    tier = HashTier(10, 10**6)
    keep(tier, "a")
    keep(tier, "a", -NEVER)
    assert len(tier) == 0
